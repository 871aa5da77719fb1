import { beforeEach, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { projectDir, run } from '../../lab';
import { useBench } from './support/cli';
import { aGateway, aLease, page, problem } from './support/fake-api';

const bench = useBench();
beforeEach(() => bench.logIn());

describe('leases', () => {
  it('lists the running ones as a table, without colours where there is no terminal', async () => {
    bench.api.on('GET /api/leases', page(aLease(), aLease({ id: 8, state: 'migrating', access: null })));
    const { code, stdout, stderr } = await bench.call(['leases']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(bench.api.seen[0]?.path).toBe('/api/leases?scope=mine&running=true');
    expect(stdout).toMatch(
      /^LEASE +STATE +NODE +LEFT +ENDS +SAVED +ACCESS\n7 +active +worker-3 +2 h +2026-05-04 10:00:00 UTC +3 min ago +orn-abc@127\.0\.10\.3:2222\n8 +migrating/,
    );
    expect(stdout).not.toContain('\x1b');
  });

  it('colours a terminal, but not with NO_COLOR or --no-color', async () => {
    bench.api.on('GET /api/leases', page(aLease()));
    expect((await bench.call(['leases'], { tty: true })).stdout).toContain('\x1b[1m');
    expect((await bench.call(['leases'], { tty: true, env: { NO_COLOR: '1' } })).stdout).not.toContain('\x1b');
    expect((await bench.call(['leases', '--no-color'], { tty: true })).stdout).not.toContain('\x1b');
  });

  it('follows the pages to the end, and gives them as one document', async () => {
    bench.api.on('GET /api/leases', ({ path }) => ({
      body: path.includes('cursor=9')
        ? { items: [aLease({ id: 8 })], next_cursor: null }
        : { items: [aLease({ id: 9 })], next_cursor: '9' },
    }));
    const { stdout } = await bench.call(['leases', '--all', '--json']);
    expect(JSON.parse(stdout)).toEqual({ items: [aLease({ id: 9 }), aLease({ id: 8 })], next_cursor: null });
  });

  it('says on stderr that there is none', async () => {
    bench.api.on('GET /api/leases', page());
    const { stdout, stderr } = await bench.call(['leases']);
    expect(stdout).toBe('');
    expect(stderr).toContain('no running lease');
  });

  it('lets no machine steer the terminal by its name', async () => {
    bench.api.on('GET /api/leases', page(aLease({ node: { id: 3, hostname: 'evil\x1b]0;x\x07', status: 'alive' } })));
    expect((await bench.call(['leases'])).stdout).not.toMatch(/[\x07\x1b]/);
  });
});

describe('output that cannot be written', () => {
  const orion = (redirection: string, ...args: string[]): ReturnType<typeof run> =>
    run('sh', ['-c', `exec "$@" ${redirection}`, 'sh', process.execPath, join(projectDir, 'dist', 'main.js'), ...args], {
      env: { PATH: process.env['PATH'], HOME: bench.home, ORION_CONFIG_DIR: bench.configDir },
    });

  it('costs the progress on stderr, and not the command', async () => {
    bench.api.on('GET /api/leases', page());
    expect(await orion('2>/dev/full', 'leases')).toMatchObject({ code: 0, stdout: '' });
  });

  it('is told at the end when it is the data on stdout', async () => {
    bench.api.on('GET /api/leases', page(aLease()));
    const { code, stderr } = await orion('>/dev/full', 'leases');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: the output could not be written: ENOSPC.*What was asked for was done\n$/);
  });
});

describe('one lease', () => {
  it('is shown with its history', async () => {
    const placements = [
      {
        generation: 1,
        node_id: 3,
        state: 'present',
        created_at: '2026-05-04T08:00:00.000Z',
        present_at: '2026-05-04T08:00:02.000Z',
        wiped_at: null,
        last_error: null,
      },
    ];
    bench.api.on('GET /api/leases/7', {
      body: { ...aLease(), placements, events: [{ at: '2026-05-04T08:00:00.000Z', type: 'lease.requested', actor: 'user:5', data: {} }] },
    });
    const { stdout } = await bench.call(['show', '7']);
    expect(stdout).toMatch(/^lease 7 {2}active on worker-3/);
    expect(stdout).toMatch(/1 +3 +present +2026-05-04 08:00:02 UTC/);
    expect(stdout).toMatch(/2026-05-04 08:00:00 UTC +lease\.requested +user:5/);
  });

  it('is reached through the gateway first, where there is one', async () => {
    bench.api.on('GET /api/leases/7', { body: { ...aLease({ gateway: aGateway() }), placements: [], events: [] } });
    const [, gateway, key, direct] = (await bench.call(['show', '7'])).stdout.split('\n');
    expect([gateway, key, direct]).toEqual([
      '  ssh -p 2222 lease-7@gw.orion.example',
      expect.stringMatching(/^ {2}host key SHA256:/),
      '  straight to the machine: ssh -p 2222 orn-abc@127.0.10.3',
    ]);
  });

  it('names the gateway alone where machines admit nothing else, and refuses the way to the machine', async () => {
    const gateway = aGateway();
    bench.api.on('GET /api/leases/7', {
      body: { ...aLease({ gateway, access: { ...gateway, host_key_fingerprint: 'SHA256:xyz' } }), placements: [], events: [] },
    });
    const { stdout } = await bench.call(['show', '7']);
    expect(stdout.match(/ssh -p .*/g)).toEqual(['ssh -p 2222 lease-7@gw.orion.example']);
    const refused = await bench.call(['ssh', '--direct', '7']);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('Leave --direct out: orion ssh 7');
  });

  it('that is not there ends with 4', async () => {
    bench.api.on('GET /api/leases/9', problem(404, 'not_found', 'There is no such lease.'));
    const { code, stdout, stderr } = await bench.call(['show', '9']);
    expect({ code, stdout }).toEqual({ code: 4, stdout: '' });
    expect(stderr).toContain('There is no such lease.');
  });

  it('is extended once even if the answer gets lost', async () => {
    bench.api.on('POST /api/extend', () => (bench.api.seen.length === 1 ? 'cut' : { body: aLease({ remaining_seconds: 10_800 }) }));
    const { code, stdout, stderr } = await bench.call(['extend', '7', '--minutes', '60']);
    expect(code).toBe(0);
    expect(new Set(bench.api.seen.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
    expect(bench.api.seen[1]?.body).toEqual({ lease_id: 7, duration_minutes: 60 });
    expect(stdout).toContain('(3 h left)');
    expect(stderr).toContain('Next: orion ssh 7');
  });

  it('that a rule refuses to extend ends with 6', async () => {
    bench.api.on('POST /api/extend', problem(422, 'duration_too_long', 'At most 24 h.'));
    expect((await bench.call(['extend', '7', '--hours', '100'])).code).toBe(6);
    expect((await bench.call(['extend', '7'])).code).toBe(2);
  });

  it('is released, with its new state and what to do next', async () => {
    bench.api.on('POST /api/release', { body: aLease({ state: 'ending', end_reason: 'released', access: null }) });
    const { code, stdout, stderr } = await bench.call(['release', '7']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'lease 7  ending on worker-3  released\n' });
    expect(stderr).toContain('Next: orion show 7');
  });

  it('says nothing but the data with --quiet', async () => {
    bench.api.on('POST /api/release', { body: aLease({ state: 'ending', end_reason: 'released', access: null }) });
    expect((await bench.call(['release', '7', '--quiet'])).stderr).toBe('');
  });
});

describe('a server that does not answer', () => {
  it('ends with 7 and a word on what to do', async () => {
    const { code, stdout, stderr } = await bench.call(['leases', '--server', 'http://127.0.0.1:1'], { env: { ORION_TOKEN: 'x' } });
    expect({ code, stdout }).toEqual({ code: 7, stdout: '' });
    expect(stderr).toContain('orion doctor');
  });

  it('shows a stack only with ORION_DEBUG', async () => {
    bench.api.on('GET /api/leases', problem(500, 'internal', 'This is a fault of the service.'));
    expect((await bench.call(['leases'])).stderr).not.toContain('    at ');
    const { code, stderr } = await bench.call(['leases'], { env: { ORION_DEBUG: '1' } });
    expect(stderr).toContain('    at ');
    expect(code).toBe(1);
  });
});

describe('progress', () => {
  it('is shown on a terminal, with the seconds it takes', async () => {
    let answer: (() => unknown) | undefined;
    bench.api.on('POST /api/release', (_request, response) => {
      answer = () =>
        response.headersSent
          ? response
          : response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(aLease({ state: 'ending', access: null })));
      return 'handled';
    });
    const answerOnceSeen = (text: string): void => {
      if (/releasing lease 7 \d s/.test(text)) {
        answer?.();
      }
    };
    const { code, stderr } = await bench.call(['release', '7'], { tty: true, onStderr: answerOnceSeen });
    expect(code).toBe(0);
    expect(stderr.startsWith('\r\x1b[Kreleasing lease 7 …')).toBe(true);
  });

  it.each([
    ['does not know its width', { columns: 0 }],
    ['is dumb', { env: { TERM: 'dumb' } }],
  ])('is one line a step on a terminal that %s, which cannot be redrawn', async (_what, options) => {
    bench.api.on('POST /api/release', { body: aLease({ state: 'ending', access: null }) });
    expect((await bench.call(['release', '7'], { tty: true, ...options })).stderr).toMatch(/^ +\d\.\d s {2}releasing lease 7\n/);
  });
});
