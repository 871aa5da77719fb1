import { beforeEach, describe, expect, it } from '@jest/globals';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { useBench } from './support/cli';
import { aLease, problem, type SeenRequest } from './support/fake-api';

const bench = useBench();
beforeEach(() => {
  bench.logIn();
  bench.api.on('GET /api/keys', { body: { items: [] } });
});

const rented = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({ leases: [aLease()], password: null, ...changes });
const rents = (): SeenRequest[] => bench.api.seenAt('POST /api/rent');
const keyOf = (request: SeenRequest | undefined): unknown => request?.headers['idempotency-key'];

function giveUserAKey(name = 'id_ed25519'): string {
  mkdirSync(join(bench.home, '.ssh'), { recursive: true });
  const file = join(bench.home, '.ssh', name);
  writeFileSync(file, 'PRIVATE', { mode: 0o600 });
  writeFileSync(`${file}.pub`, `ssh-ed25519 AAAA${name} me@here\n`);
  return file;
}

describe('renting', () => {
  it('asks for what was asked, and prints the access on stdout and the advice on stderr', async () => {
    giveUserAKey();
    bench.api.on('POST /api/rent', { status: 201, body: rented() });
    const args = [
      'rent',
      '--hours',
      '2',
      '--count',
      '1',
      '--cpus',
      '4',
      '--memory-mb',
      '512',
      '--label',
      'zone=b',
      '--label',
      'gpu=a100',
      '--for',
      'grace',
    ];
    const { code, stdout, stderr } = await bench.call(args);
    expect(code).toBe(0);
    expect(rents()[0]?.body).toEqual({
      duration_hours: 2,
      count: 1,
      requirements: { cpus: 4, memory_mb: 512, labels: { zone: 'b', gpu: 'a100' } },
      client_id: 'grace',
    });
    expect(stdout).toBe(
      'lease 7  active on worker-3  until 2026-05-04 10:00:00 UTC (2 h left)\n  ssh -p 2222 orn-abc@127.0.10.3\n  host key SHA256:xyz\n',
    );
    expect(stderr).toContain('asking for a machine');
    expect(stderr).toContain('Next: orion ssh 7');
  });

  it("prints the API's JSON unchanged, and nothing else, with --json", async () => {
    giveUserAKey();
    const text = `{ "leases": [${JSON.stringify(aLease({ unknown_member: 1 }))}],  "password": null }`;
    bench.api.on('POST /api/rent', { status: 201, body: text });
    expect(await bench.call(['rent', '--json'])).toEqual({ code: 0, stdout: `${text}\n`, stderr: '' });
  });

  it('repeats the request with the same key when the connection breaks, so that one lease is made', async () => {
    giveUserAKey();
    const leases = new Map<string, number>();
    bench.api.on('POST /api/rent', ({ headers }) => {
      const key = String(headers['idempotency-key']);
      const isNew = !leases.has(key);
      leases.set(key, leases.get(key) ?? leases.size + 1);
      return isNew
        ? 'cut'
        : { status: 200, headers: { 'idempotent-replayed': 'true' }, body: rented({ leases: [aLease({ id: leases.get(key) })] }) };
    });
    const { code, stdout, stderr } = await bench.call(['rent']);
    expect(code).toBe(0);
    expect(rents()).toHaveLength(2);
    expect([...leases.values()]).toEqual([1]);
    expect(stdout).toContain('lease 1  active');
    expect(stderr).toContain('the connection broke, asking again with the same key');
  });

  it('treats the 502 of a proxy as a broken connection, but takes "no node free" for an answer', async () => {
    giveUserAKey();
    bench.api.on('POST /api/rent', () =>
      rents().length === 1
        ? { status: 502, headers: { 'content-type': 'text/html' }, body: '<h1>Bad gateway</h1>' }
        : problem(503, 'no_node_free', 'All nodes that fit are in use.', { 'retry-after': '42' }),
    );
    const { code, stdout, stderr } = await bench.call(['rent']);
    expect({ code, stdout }).toEqual({ code: 5, stdout: '' });
    expect(rents()).toHaveLength(2);
    expect(keyOf(rents()[0])).toBe(keyOf(rents()[1]));
    expect(stderr).toContain('All nodes that fit are in use.');
    expect(stderr).toContain('Try again in 42 s.');
  });

  it('uses a new key for each rent, and the given one when one is given', async () => {
    giveUserAKey();
    bench.api.on('POST /api/rent', { status: 201, body: rented() });
    await bench.call(['rent']);
    await bench.call(['rent']);
    await bench.call(['rent', '--idempotency-key', 'mine']);
    const keys = rents().map(keyOf);
    expect(new Set(keys).size).toBe(3);
    expect(keys[2]).toBe('mine');
  });

  it('gives up after a few broken connections with code 7 and the command that is safe to repeat', async () => {
    giveUserAKey();
    bench.api.on('POST /api/rent', () => 'cut');
    const { code, stderr } = await bench.call(['rent']);
    expect(code).toBe(7);
    expect(new Set(rents().map(keyOf)).size).toBe(1);
    expect(stderr).toContain(`--idempotency-key ${String(keyOf(rents()[0]))}`);
  });

  it('waits for an account that is still being made', async () => {
    giveUserAKey();
    const making = aLease({ state: 'provisioning', access: null });
    bench.api.on('POST /api/rent', { status: 202, body: rented({ leases: [making] }) });
    bench.api.on('GET /api/leases/7', () => ({
      body: { ...(bench.api.seenAt('GET /api/leases/7').length < 3 ? making : aLease()), events: [], placements: [] },
    }));
    const { code, stdout } = await bench.call(['rent', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(rented());
  });

  it('shows a password once on stdout, and says so when the answer that held it was lost', async () => {
    bench.api.on('POST /api/rent', { status: 201, body: rented({ password: 'ab-cd-ef' }) });
    expect((await bench.call(['rent', '--password'])).stdout).toContain('password ab-cd-ef');
    expect(rents()[0]?.body).toMatchObject({ with_password: true });
    bench.api.on('POST /api/rent', { status: 200, headers: { 'idempotent-replayed': 'true' }, body: rented() });
    expect((await bench.call(['rent', '--password'])).stderr).toContain('release the lease and rent again');
  });

  it.each([
    [['rent', '--hours', '1', '--minutes', '5']],
    [['rent', '--hours', 'two']],
    [['rent', '--count', '0']],
    [['rent', '--label', 'nothing']],
    [['rent', '--ssh', '--json']],
    [['rent', 'worker-3']],
  ])('calls %j wrong usage and sends nothing', async (args) => {
    const { code, stdout } = await bench.call(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(bench.api.seen).toHaveLength(0);
  });
});

describe('the key of a rent', () => {
  beforeEach(() => bench.api.on('POST /api/rent', { status: 201, body: rented() }));
  const remembered = (): unknown =>
    (JSON.parse(readFileSync(join(bench.configDir, 'leases.json'), 'utf8')) as Record<string, Record<string, unknown>>)[bench.api.url]?.[
      '7'
    ];

  it('is left to the registered ones when there are any, and the private key here is found among them', async () => {
    giveUserAKey('id_ecdsa');
    const file = giveUserAKey('id_rsa');
    bench.api.on('GET /api/keys', {
      body: { items: [{ id: 1, name: 'x', public_key: 'ssh-ed25519 AAAAid_rsa other-comment', fingerprint: '', created_at: '' }] },
    });
    await bench.call(['rent']);
    expect(rents()[0]?.body).not.toHaveProperty('ssh_public_key');
    expect(remembered()).toMatchObject({ private_key: file });
  });

  it('is one of ~/.ssh when none is registered', async () => {
    const file = giveUserAKey('id_ecdsa');
    await bench.call(['rent']);
    expect(rents()[0]?.body).toMatchObject({ ssh_public_key: 'ssh-ed25519 AAAAid_ecdsa me@here' });
    expect(remembered()).toMatchObject({ private_key: file });
  });

  it('is made when there is none at all, readable by its owner alone, and used again', async () => {
    const { stderr } = await bench.call(['rent']);
    const file = join(bench.configDir, 'id_ed25519');
    expect(stderr).toContain(file);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    await bench.call(['rent']);
    expect(rents().map(({ body }) => (body as { ssh_public_key: string }).ssh_public_key)).toEqual(
      Array(2).fill(readFileSync(`${file}.pub`, 'utf8').trim()),
    );
  });

  it('is the named one first of all', async () => {
    giveUserAKey();
    const file = giveUserAKey('work');
    await bench.call(['rent', '--key', `${file}.pub`]);
    expect(rents()[0]?.body).toMatchObject({ ssh_public_key: 'ssh-ed25519 AAAAwork me@here' });
    expect(remembered()).toMatchObject({ private_key: file });
    expect((await bench.call(['rent', '--key', join(bench.home, 'none.pub')])).code).toBe(2);
  });

  it('is not made when a password will do', async () => {
    await bench.call(['rent', '--password']);
    expect(rents()[0]?.body).not.toHaveProperty('ssh_public_key');
    expect(existsSync(join(bench.configDir, 'id_ed25519'))).toBe(false);
  });
});
