import { beforeEach, describe, expect, it } from '@jest/globals';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { useBench } from './support/cli';
import { page, problem, user } from './support/fake-api';

const bench = useBench();
beforeEach(() => bench.logIn());

const node = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  id: 3,
  hostname: 'worker-3',
  status: 'alive',
  cpus: 2,
  memory_mb: 2048,
  labels: { zone: 'b' },
  free: true,
  lease_id: null,
  ...changes,
});

describe('nodes', () => {
  it('are listed', async () => {
    bench.api.on('GET /api/nodes', page(node()));
    expect((await bench.call(['nodes', '--status', 'alive'])).stdout).toMatch(/\n3 +worker-3 +alive +2 +2 GiB +yes +- +zone=b +-\n$/);
    expect(bench.api.seen[0]?.path).toBe('/api/nodes?status=alive');
    expect((await bench.call(['nodes', '--status', 'fine'])).code).toBe(2);
  });

  it('show admins the host key to compare, in the list and each by itself', async () => {
    const waiting = node({ status: 'pending', free: false, host_key_fingerprint: 'SHA256:own', offered_host_key_fingerprint: null });
    bench.api.on('GET /api/nodes', page(waiting));
    expect((await bench.call(['nodes'])).stdout).toMatch(/zone=b +SHA256:own\n$/);
    const shown = await bench.call(['node', 'show', '3']);
    expect(bench.api.seen.at(-1)?.path).toBe('/api/nodes?cursor=2&limit=1');
    expect(shown.stdout).toBe('node 3  worker-3  pending\n  host key SHA256:own (not approved yet)\n');
    expect(shown.stderr).toContain('orion node approve 3 --fingerprint SHA256:own');
    bench.api.on(
      'GET /api/nodes',
      page(node({ status: 'quarantined', host_key_fingerprint: 'SHA256:own', offered_host_key_fingerprint: 'SHA256:new' })),
    );
    expect((await bench.call(['node', 'show', '3'])).stderr).toContain('orion node approve 3 --fingerprint SHA256:new');
    expect((await bench.call(['node', 'show', '4'])).code).toBe(4);
  });

  it('are watched over as many connections as it takes, until the server refuses', async () => {
    bench.api.on('GET /api/nodes/stream', (_request, response) => {
      const turn = bench.api.seenAt('GET /api/nodes/stream').length;
      if (turn === 3) {
        return problem(401, 'unauthenticated', 'The token has expired.');
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`: ping\n\nevent: snapshot\ndata: ${JSON.stringify({ items: [node()], more: true })}\n\n`);
      response.write(`event: nodes\ndata: ${JSON.stringify({ items: [node({ id: 4, hostname: 'worker-4' })], more: false })}\n\n`);
      response.end(
        turn === 1
          ? `event: node\ndata: ${JSON.stringify(node({ status: 'suspect', free: false }))}\n\n`
          : 'event: gone\ndata: {"id":3}\n\n',
      );
      return 'handled';
    });
    const { code, stdout } = await bench.call(['nodes', '--watch']);
    expect(code).toBe(3);
    expect(stdout).toBe(
      [
        'node 3  worker-3  alive',
        'node 4  worker-4  alive',
        'node 3  worker-3  suspect',
        'node 3  worker-3  alive',
        'node 4  worker-4  alive',
        'node 3  gone',
        '',
      ].join('\n'),
    );
  });

  it.each([
    [['approve', '3', '--fingerprint', 'SHA256:x'], 'approve', { host_key_fingerprint: 'SHA256:x' }],
    [['approve', '3', '--fingerprint', 'SHA256:x', '--replaces', '2'], 'approve', { host_key_fingerprint: 'SHA256:x', replaces: 2 }],
    [['drain', '3', '--move'], 'drain', { move: true }],
    [['undrain', '3'], 'undrain', undefined],
    [['quarantine', '3', '--reason', 'smells'], 'quarantine', { reason: 'smells' }],
    [['retire', '3'], 'retire', undefined],
    [['label', '3', 'room=lab-1', 'gpu-', 'empty='], 'label', { set: { room: 'lab-1', empty: '' }, remove: ['gpu'] }],
    [['limit', '3', '--max-cpus', '4'], 'limit', { max_cpus: 4, max_memory_mb: null }],
  ])('node %j tells the new state and the next command', async (args, verb, body) => {
    bench.api.on(`POST /api/nodes/3/${verb}`, { body: node({ drained: true, status_reason: 'because' }) });
    const { code, stdout, stderr } = await bench.call(['node', ...args]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'node 3  worker-3  alive, drained: because\n' });
    expect(stderr).toContain('Next: ');
    expect(bench.api.seen[0]?.body).toEqual(body);
  });

  it('show what keeps one from being leased, and what is not wiped on it', async () => {
    const details = {
      withheld_reason: 'no uid is left',
      not_examined: [
        { path: '/scratch', type: 'nfs4' },
        { path: '/a\u001b[2J', type: 'cifs' },
      ],
      shared_storage: 'refuse',
      uid_range: '70000-79999',
      uid_refusal: 'uid 70017 is not free here',
    };
    bench.api.on('GET /api/nodes', page(node(details)));
    const { stdout } = await bench.call(['node', 'show', '3']);
    expect(stdout.split('\n').slice(0, -1)).toEqual([
      'node 3  worker-3  alive, withheld: no uid is left',
      expect.stringMatching(/^ {2}not examined: \/scratch \(nfs4\), \/a[^\u001b]* \(cifs\)$/),
      '  shared storage: refuse',
      '  uids: 70000-79999',
      '  refused uids: uid 70017 is not free here',
    ]);
    expect(JSON.parse((await bench.call(['node', 'show', '3', '--json'])).stdout)).toMatchObject(details);
  });

  it('are told what to do about shared storage, in one of two words', async () => {
    bench.api.on('POST /api/nodes/3/shared-storage', {
      body: node({ shared_storage: 'refuse', not_examined: [{ path: '/scratch', type: 'nfs4' }] }),
    });
    const { code, stderr } = await bench.call(['node', 'shared-storage', '3', 'refuse']);
    expect({ code, body: bench.api.seen[0]?.body }).toEqual({ code: 0, body: { policy: 'refuse' } });
    expect(stderr).toContain('not examined: /scratch (nfs4)');
    expect((await bench.call(['node', 'shared-storage', '3', 'perhaps'])).code).toBe(2);
    expect((await bench.call(['node', 'shared-storage', '--help'])).stdout).toContain('Example: orion node shared-storage 3 refuse');
  });

  it.each([[[]], [['gpu']], [['=x']], [['room=a', 'room=b']]])('label 3 %j is a usage error', async (changes) => {
    expect((await bench.call(['node', 'label', '3', ...changes])).code).toBe(2);
  });

  it('are quarantined for a reason only, and 403 ends with 3', async () => {
    expect((await bench.call(['node', 'quarantine', '3'])).code).toBe(2);
    bench.api.on('POST /api/nodes/3/retire', problem(403, 'forbidden', 'Only an admin may.'));
    expect((await bench.call(['node', 'retire', '3'])).code).toBe(3);
  });
});

describe('join tokens', () => {
  const token = {
    id: 4,
    name: 'edge',
    max_uses: 5,
    uses: 0,
    labels: {},
    expires_at: '2026-05-05T00:00:00.000Z',
    revoked_at: null,
    created_at: '2026-05-04T00:00:00.000Z',
  };

  it('are the only thing on stdout when made, so that a script can take them from there', async () => {
    bench.api.on('POST /api/tokens', { status: 201, body: { ...token, token: 'orion_join_abc' } });
    const { stdout, stderr } = await bench.call([
      'token',
      'create',
      'edge',
      '--max-uses',
      '5',
      '--ttl-hours',
      '0.5',
      '--label',
      'zone=b',
      '--max-cpus',
      '8',
    ]);
    expect(stdout).toBe('orion_join_abc\n');
    expect(stderr).not.toContain('orion_join_abc');
    expect(bench.api.seen[0]?.body).toEqual({ name: 'edge', max_uses: 5, ttl_hours: 0.5, labels: { zone: 'b' }, max_cpus: 8 });
  });

  it('are listed and revoked', async () => {
    bench.api.on('GET /api/tokens', page(token));
    bench.api.on('DELETE /api/tokens/4', { body: { ...token, revoked_at: '2026-05-04T01:00:00.000Z' } });
    expect((await bench.call(['token', 'list'])).stdout).toContain('0 of 5 uses');
    expect((await bench.call(['token', 'revoke', '4'])).stdout).toBe('join token 4 revoked\n');
  });
});

describe('accounts', () => {
  it('are listed and changed', async () => {
    bench.api.on('GET /api/users', page(user));
    bench.api.on('PATCH /api/users/5', { body: { ...user, disabled: true, max_leases: 9 } });
    expect((await bench.call(['users'])).stdout).toMatch(/5 +ada +user +3 +24 +enabled/);
    expect(
      (await bench.call(['users', 'set', '5', '--max-leases', '9', '--max-hours', '48', '--role', 'admin', '--disable'])).stdout,
    ).toMatch(/5 +ada +user +9 +24 +disabled/);
    expect(bench.api.seen[1]?.body).toEqual({ max_leases: 9, max_lease_hours: 48, role: 'admin', disabled: true });
    expect((await bench.call(['users', 'set', '5'])).code).toBe(2);
    expect((await bench.call(['users', 'set', '5', '--enable', '--disable'])).code).toBe(2);
  });
});

describe('jobs', () => {
  const job = (changes: Record<string, unknown>): Record<string, unknown> => ({
    name: 'wipe',
    description: 'wipes dirty nodes',
    role: 'scheduler',
    state: 'running',
    replicas: 2,
    period_seconds: 1,
    concurrency: 8,
    last_pass_at: '2026-05-04T10:00:00.000Z',
    last_run_at: '2026-05-04T09:59:00.000Z',
    last_duration_ms: 1500,
    last_error: null,
    last_error_at: null,
    backlog: { due: 0, overdue_seconds: null },
    ...changes,
  });
  const items = [
    job({}),
    job({
      name: 'probe',
      description: 'judges nodes',
      period_seconds: 0.25,
      last_run_at: null,
      last_duration_ms: null,
      backlog: { due: 1000, overdue_seconds: 61.5 },
    }),
    job({
      name: 'watch',
      description: 'watches',
      state: 'not_running',
      replicas: 0,
      last_duration_ms: 12,
      backlog: null,
      last_error: 'no\u001b[2J answer',
      last_error_at: '2026-05-04T09:58:00.000Z',
    }),
  ];

  it('R40: are listed with what they last did, what waits for them, and their last error', async () => {
    bench.api.on('GET /api/jobs', { body: { items } });
    const { code, stdout } = await bench.call(['jobs']);
    expect(code).toBe(0);
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^JOB +STATE +EVERY +LAST RUN +TOOK +DUE +OVERDUE +DESCRIPTION$/),
      expect.stringMatching(/^wipe +on 2 replicas +1 s +2026-05-04 09:59:00 UTC +1 s +0 +- +wipes dirty nodes$/),
      expect.stringMatching(/^probe +on 2 replicas +250 ms +- +- +1000\+ +1 min 1 s +judges nodes$/),
      expect.stringMatching(/^watch +NOT RUNNING +1 s +2026-05-04 09:59:00 UTC +12 ms +- +- +watches$/),
      'last error of watch, at 2026-05-04 09:58:00 UTC: no?[2J answer',
      '',
    ]);
  });

  it("R40: are the API's own document with --json, and none is not an error", async () => {
    bench.api.on('GET /api/jobs', { body: { items } });
    expect(JSON.parse((await bench.call(['jobs', '--json'])).stdout)).toEqual({ items });
    bench.api.on('GET /api/jobs', { body: { items: [] } });
    expect(await bench.call(['jobs'])).toEqual({ code: 0, stdout: '', stderr: 'No replica has reported a job yet: start a scheduler.\n' });
    bench.api.on('GET /api/jobs', problem(403, 'forbidden', 'Only an admin may.'));
    expect((await bench.call(['jobs'])).code).toBe(3);
  });
});

describe('the audit log', () => {
  const event = {
    id: 41,
    at: '2026-05-04T10:00:00.000Z',
    type: 'node.approved',
    outcome: 'done',
    actor: 'admin:1',
    user_id: null,
    lease_id: null,
    node_id: 3,
    address: '192.0.2.7',
    request_id: null,
    token_id: null,
    data: { before: 'pending\u001b[2J' },
  };

  it('R41: is listed page by page, with filters', async () => {
    bench.api.on('GET /api/audit', { body: { items: [event], next_cursor: '41' } });
    const { code, stdout, stderr } = await bench.call([
      'audit',
      'list',
      '--type',
      'node.approved',
      '--node',
      '3',
      '--before',
      '50',
      '--limit',
      '1',
    ]);
    expect(code).toBe(0);
    const { searchParams } = new URL(bench.api.seenAt('GET /api/audit')[0]?.path ?? '', bench.api.url);
    expect(Object.fromEntries(searchParams)).toEqual({ type: 'node.approved', node: '3', cursor: '50', limit: '1' });
    expect(stdout).toMatch(
      /^41 +2026-05-04 10:00:00 UTC +node\.approved +done +admin:1 +- +- +3 +192\.0\.2\.7 +\{"before":"pending\\u001b\[2J"\}$/m,
    );
    expect(stderr).toContain('orion audit list --before 41');
  });

  it("R41: is the API's own document with --json", async () => {
    bench.api.on('GET /api/audit', { body: { items: [event], next_cursor: null } });
    expect(JSON.parse((await bench.call(['audit', 'list', '--json'])).stdout)).toEqual({ items: [event], next_cursor: null });
    bench.api.on('GET /api/audit', problem(403, 'forbidden', 'Only an admin may.'));
    expect((await bench.call(['audit'])).code).toBe(3);
  });
});

describe('keys', () => {
  const key = { id: 2, name: 'laptop', public_key: 'ssh-ed25519 AAAA', fingerprint: 'SHA256:abc', created_at: '2026-05-04T00:00:00.000Z' };

  it('are added, listed and removed', async () => {
    const file = join(bench.home, 'id.pub');
    writeFileSync(file, 'ssh-ed25519 AAAA me\n');
    bench.api.on('POST /api/keys', { status: 201, body: key });
    bench.api.on('GET /api/keys', { body: { items: [key] } });
    bench.api.on('DELETE /api/keys/2', { status: 204 });
    expect((await bench.call(['keys', 'add', file, '--name', 'laptop'])).stdout).toBe('key 2 added  SHA256:abc\n');
    expect(bench.api.seen[0]?.body).toEqual({ name: 'laptop', public_key: 'ssh-ed25519 AAAA me' });
    expect((await bench.call(['keys'])).stdout).toMatch(/2 +laptop +SHA256:abc/);
    expect((await bench.call(['keys', 'remove', '2'])).stdout).toBe('key 2 removed\n');
  });

  it('are removed also when the answer to that gets lost', async () => {
    bench.api.on('DELETE /api/keys/2', () => (bench.api.seen.length === 1 ? 'cut' : problem(404, 'not_found', 'There is no such key.')));
    expect((await bench.call(['keys', 'remove', '2'])).code).toBe(0);
    expect((await bench.call(['keys', 'remove', '2'])).code).toBe(4);
  });

  it('that are private never leave the machine', async () => {
    const file = join(bench.home, 'id');
    writeFileSync(file, '-----BEGIN OPENSSH PRIVATE KEY-----\n');
    expect((await bench.call(['keys', 'add', file])).code).toBe(2);
    expect(bench.api.seen).toHaveLength(0);
  });
});

describe('support-bundle', () => {
  const report = (replica: string): Record<string, unknown> => ({ replica, version: '0.1.0', logs: ['{"message":"lease moved"}'] });
  const read = (file: string): { replicas: { replica: string }[]; errors: string[]; checks: { name: string }[] } =>
    JSON.parse(readFileSync(file, 'utf8')) as ReturnType<typeof read>;

  it('writes the reports of the replicas that answer and the checks of the doctor into one private file, and overwrites none', async () => {
    const file = join(bench.home, 'bundle.json');
    bench.api.on('GET /api/support', () => ({ body: report(bench.api.seenAt('GET /api/support').length % 2 === 0 ? 'one:1' : 'two:2') }));
    const { code, stdout } = await bench.call(['support-bundle', '--output', file]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${file}\n` });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(
      read(file)
        .replicas.map(({ replica }) => replica)
        .sort(),
    ).toEqual(['one:1', 'two:2']);
    expect(read(file).checks.map(({ name }) => name)).toContain('ssh client');
    expect(readFileSync(file, 'utf8')).not.toContain('stored-token');
    const again = await bench.call(['support-bundle', '--output', file]);
    expect(again.code).toBe(2);
    expect(again.stderr).toContain('orion support-bundle --output FILE');
  });

  it('is for admins, and a server that fails is a part of it', async () => {
    bench.api.on('GET /api/support', problem(403, 'forbidden', 'Only an admin may do this.'));
    expect((await bench.call(['support-bundle', '--output', join(bench.home, 'refused.json')])).code).toBe(3);
    const file = join(bench.home, 'failed.json');
    bench.api.on('GET /api/support', problem(500, 'internal', 'Something went wrong.'));
    expect((await bench.call(['support-bundle', '--output', file])).code).toBe(0);
    expect(read(file)).toMatchObject({ replicas: [], errors: ['Something went wrong.'] });
  });
});
