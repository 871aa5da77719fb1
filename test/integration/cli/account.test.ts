import { describe, expect, it } from '@jest/globals';
import { chmodSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createBench, useBench } from './support/cli';
import { problem, user } from './support/fake-api';

const bench = useBench();

const modeOf = (path: string): number => statSync(path).mode & 0o777;
const stored = (): unknown => JSON.parse(readFileSync(join(bench.configDir, 'config.json'), 'utf8'));

describe('logging in', () => {
  const login = ['login', '--username', 'ada', '--password-stdin'];

  it('stores the token where only its owner can read it, and keeps the password out of every output', async () => {
    bench.api.on('POST /api/login', { body: { token: 'jwt-1', token_type: 'Bearer', expires_in_seconds: 3600, user } });
    const { code, stdout, stderr } = await bench.call([...login, '--server', `${bench.api.url}/`], { stdin: 'correct horse\n' });
    expect({ code, body: bench.api.seen[0]?.body }).toEqual({ code: 0, body: { username: 'ada', password: 'correct horse' } });
    expect(stored()).toEqual({ server: bench.api.url, username: 'ada', token: 'jwt-1' });
    expect([modeOf(bench.configDir), modeOf(join(bench.configDir, 'config.json'))]).toEqual([0o700, 0o600]);
    expect(stdout).toContain('logged in');
    expect(stderr).toContain('Next: orion rent');
    expect(stdout + stderr).not.toMatch(/correct horse|jwt-1/);
  });

  it('says detail, code and request id of a refusal, stores nothing and ends with 3', async () => {
    bench.api.on('POST /api/login', problem(401, 'bad_credentials', 'The username or the password is wrong.'));
    const { code, stdout, stderr } = await bench.call(login, { stdin: 'wrong\n', env: { ORION_SERVER: bench.api.url } });
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toContain('The username or the password is wrong.');
    expect(stderr).toMatch(/code bad_credentials, request req-77/);
    expect(stderr).not.toMatch(/at .*\.ts/);
    expect(stored).toThrow();
  });

  it('tells after how many seconds to try again', async () => {
    bench.api.on('POST /api/login', problem(429, 'too_many_requests', 'Too many.', { 'retry-after': '17' }));
    const { code, stderr } = await bench.call(login, { stdin: 'x\n', env: { ORION_SERVER: bench.api.url } });
    expect(code).toBe(5);
    expect(stderr).toContain('Try again in 17 s.');
  });

  it('asks for nothing without a terminal', async () => {
    const { code, stderr } = await bench.call(['login', '--username', 'ada', '--server', bench.api.url]);
    expect(code).toBe(2);
    expect(stderr).toContain('--password-stdin');
    expect(bench.api.seen).toHaveLength(0);
  });

  it('signs up and logs in at once', async () => {
    bench.api.on('POST /api/signup', { status: 201, body: { user } });
    bench.api.on('POST /api/login', { body: { token: 'jwt-2', expires_in_seconds: 3600, user } });
    const { code, stdout } = await bench.call(['signup', '--username', 'ada', '--password-stdin', '--server', bench.api.url], {
      stdin: 'correct horse\n',
    });
    expect(code).toBe(0);
    expect(stdout).toContain('account ada created');
    expect(stored()).toMatchObject({ token: 'jwt-2' });
  });
});

describe('being logged in', () => {
  it('is needed: without a token nothing is sent and the code is 3', async () => {
    const { code, stderr } = await bench.call(['leases', '--server', bench.api.url]);
    expect(code).toBe(3);
    expect(stderr).toContain('orion login');
    expect(bench.api.seen).toHaveLength(0);
  });

  it('sends the stored token to the server it came from and to no other', async () => {
    const other = await createBench();
    try {
      bench.logIn();
      bench.api.on('GET /api/me', { body: { user } });
      expect((await bench.call(['whoami'])).stdout).toContain('ada (user)');
      expect(bench.api.seen[0]?.headers.authorization).toBe('Bearer stored-token');
      expect((await bench.call(['whoami', '--server', other.api.url])).code).toBe(3);
      expect(other.api.seen).toHaveLength(0);
    } finally {
      await other.close();
    }
  });

  it('prefers ORION_TOKEN', async () => {
    bench.api.on('GET /api/me', { body: { user } });
    await bench.call(['whoami'], { env: { ORION_SERVER: bench.api.url, ORION_TOKEN: 'from-env' } });
    expect(bench.api.seen[0]?.headers.authorization).toBe('Bearer from-env');
  });

  it('ends with logout, which forgets the token even when the server does not answer', async () => {
    bench.logIn();
    bench.api.on('POST /api/logout', () => 'cut');
    const { code, stderr } = await bench.call(['logout']);
    expect(code).toBe(0);
    expect(stderr).toContain('stays valid until it expires');
    expect(stored()).toEqual({ server: bench.api.url, username: 'ada' });
  });
});

describe('doctor', () => {
  it('finds nothing wrong with a healthy set-up', async () => {
    bench.logIn();
    bench.api.on('GET /api/me', { body: { user } });
    const { code, stdout } = await bench.call(['doctor']);
    expect(stdout).not.toContain('✗');
    expect(stdout).toMatch(/✓ server: .*\n✓ clock: .*\n✓ login: logged in as ada\n✓ ssh client: OpenSSH/);
    expect(code).toBe(0);
  });

  it('says what is wrong and what to do about it', async () => {
    bench.logIn();
    chmodSync(join(bench.configDir, 'config.json'), 0o644);
    bench.api.on('GET /api/me', {
      ...problem(401, 'unauthenticated', 'The token has expired.'),
      headers: { date: 'Mon, 01 Jan 2001 00:00:00 GMT' },
    });
    const { code, stdout } = await bench.call(['doctor']);
    expect(code).toBe(1);
    expect(stdout).toMatch(/✗ clock: differs by \d+ s/);
    expect(stdout).toContain('✗ login: The token has expired.\n    Log in with: orion login');
    expect(stdout).toMatch(/✗ config: .*\n {4}Run: chmod 600/);
  });

  it('R40: shows admins whether the jobs of the server run, and nothing when an older server does not report them', async () => {
    bench.logIn();
    bench.api.on('GET /api/me', { body: { user: { ...user, role: 'admin' } } });
    const doctor = async (...states: string[]): Promise<string> => {
      bench.api.on('GET /api/jobs', { body: { items: states.map((state, n) => ({ name: `job-${n}`, state })) } });
      const { code, stdout } = await bench.call(['doctor']);
      return `${code} ${stdout.split('\n').find((line) => line.includes(' jobs: ')) ?? ''}`;
    };
    expect((await bench.call(['doctor'])).stdout).not.toContain('jobs');
    expect(await doctor('running', 'running')).toBe('0 ✓ jobs: all 2 run');
    expect(await doctor('not_running', 'running')).toBe('1 ✗ jobs: no replica runs job-0');
    expect(await doctor()).toBe('1 ✗ jobs: no replica has reported any');
  });

  it('gives one JSON document when asked to, also when nobody answers', async () => {
    const { code, stdout } = await bench.call(['doctor', '--json', '--server', 'http://127.0.0.1:1']);
    expect(code).toBe(1);
    expect((JSON.parse(stdout) as { checks: unknown[] }).checks).toContainEqual(expect.objectContaining({ name: 'server', ok: false }));
  });
});
