import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Bench, createBench } from './support/cli';
import { page, problem, user } from './support/fake-api';

let bench: Bench;
beforeEach(async () => {
  bench = await createBench();
  bench.logIn();
});
afterEach(() => bench.close());

const stored = (): unknown => JSON.parse(readFileSync(join(bench.configDir, 'config.json'), 'utf8'));
const code = { code: 'orion_code_abcdefghijkmnpqrstuvwxyz', expires_at: '2026-05-07T00:00:00.000Z' };
const session = { token: 'jwt-2', token_type: 'Bearer', expires_in_seconds: 3600, user };

describe('orion passwd', () => {
  it('R10: sends both passwords, stores the new token, and shows no secret', async () => {
    bench.api.on('POST /api/me/password', { body: session });
    const { code: exit, stdout, stderr } = await bench.call(['passwd', '--stdin'], { stdin: 'old secret\nnew long secret\n' });
    expect({ exit, body: bench.api.seen[0]?.body }).toEqual({
      exit: 0,
      body: { old_password: 'old secret', new_password: 'new long secret' },
    });
    expect(stored()).toMatchObject({ token: 'jwt-2' });
    expect(stdout).toBe('password of ada changed\n');
    expect(stdout + stderr).not.toMatch(/secret|jwt-2/);
  });

  it('R10: sets a password by a one-time code without a login', async () => {
    bench.api.on('POST /api/password', { body: session });
    const args = ['passwd', '--code', '--username', 'ada', '--stdin', '--server', bench.api.url];
    expect((await bench.call(args, { stdin: `${code.code}\nnew long secret\n` })).code).toBe(0);
    expect(bench.api.seen[0]?.body).toEqual({ username: 'ada', code: code.code, new_password: 'new long secret' });
  });

  it.each([
    ['', 2],
    ['only one line\n', 2],
    ['old\n\n', 2],
  ])('R10: needs two lines: %j', async (stdin, exit) => {
    expect((await bench.call(['passwd', '--stdin'], { stdin })).code).toBe(exit);
    expect(bench.api.seen).toHaveLength(0);
  });

  it('R10: passes on that the old one is wrong, without advice to log in', async () => {
    bench.api.on('POST /api/me/password', problem(401, 'bad_credentials', 'The old password is wrong.'));
    const { code: exit, stderr } = await bench.call(['passwd', '--stdin'], { stdin: 'wrong\nnew long secret\n' });
    expect(exit).toBe(3);
    expect(stderr).not.toContain('orion login');
  });

  it('R10: is the next command after a login with a password of an operator', async () => {
    bench.api.on('POST /api/login', { body: { ...session, user: { ...user, must_change_password: true } } });
    expect((await bench.call(['login', '--username', 'ada', '--password-stdin'], { stdin: 'given\n' })).stderr).toContain(
      'Next: orion passwd',
    );
  });
});

describe('orion sessions', () => {
  const open = (id: string, current: boolean): object => ({
    id: `${id}-0000-4000-8000-000000000000`,
    created_at: '2026-05-04T10:00:00.000Z',
    last_used_at: '2026-05-04T11:00:00.000Z',
    expires_at: '2026-05-04T22:00:00.000Z',
    address: '192.0.2.7',
    client: 'curl\u001b[2J',
    current,
  });

  it('R10: are listed, and ended by the beginning of an id or all at once', async () => {
    bench.api.on('GET /api/me/sessions', { body: { items: [open('aaaaaaaa', true), open('aabbbbbb', false)] } });
    bench.api.on('DELETE /api/me/sessions', { status: 204 });
    bench.api.on('DELETE /api/me/sessions/aabbbbbb-0000-4000-8000-000000000000', { status: 204 });
    expect((await bench.call(['sessions'])).stdout).toMatch(/aaaaaaaa .* 192\.0\.2\.7 +curl\?\[2J {2}\(this one\)/);
    expect((await bench.call(['sessions', 'end', 'aab'])).stdout).toBe('session aabbbbbb ended\n');
    expect([(await bench.call(['sessions', 'end', 'aa'])).code, (await bench.call(['sessions', 'end', 'ff'])).code]).toEqual([2, 4]);
    expect([(await bench.call(['sessions', 'end'])).code, (await bench.call(['sessions', 'end', 'aab', '--all'])).code]).toEqual([2, 2]);
    expect((await bench.call(['sessions', 'end', '--all'])).code).toBe(0);
  });
});

describe('orion users', () => {
  it('R10: create prints the code alone on stdout, and who has to do what with it', async () => {
    bench.api.on('POST /api/users', { status: 201, body: { user, one_time_code: code } });
    const { stdout, stderr } = await bench.call(['users', 'create', 'ada', '--admin', '--max-leases', '3']);
    expect([stdout, bench.api.seen[0]?.body]).toEqual([`${code.code}\n`, { username: 'ada', role: 'admin', max_leases: 3 }]);
    expect(stderr).toContain(`orion passwd --code --username ada --server ${bench.api.url}`);
    expect(stderr).not.toContain(code.code);
  });

  it('R10: show, set, reset-password and delete take a name', async () => {
    bench.api.on('GET /api/users/ada', { body: user });
    bench.api.on('PATCH /api/users/ada', { body: { ...user, disabled: true } });
    bench.api.on('POST /api/users/ada/reset-password', { status: 201, body: code });
    bench.api.on('DELETE /api/users/ada', { body: user });
    expect((await bench.call(['users', 'show', 'ada'])).stdout).toMatch(/ada +user/);
    expect((await bench.call(['users', 'set', 'ada', '--disable', '--keep-leases'])).code).toBe(0);
    expect(bench.api.seenAt('PATCH /api/users/ada')[0]?.body).toEqual({ disabled: true, keep_leases: true });
    expect((await bench.call(['users', 'set', 'ada', '--keep-leases'])).code).toBe(2);
    expect((await bench.call(['users', 'reset-password', 'ada'])).stdout).toBe(`${code.code}\n`);
    expect((await bench.call(['users', 'delete', 'ada', '--keep-leases'])).code).toBe(0);
    expect(bench.api.seen.at(-1)?.path).toBe('/api/users/ada?keep_leases=true');
  });

  const importing = async (text: string): Promise<{ code: number; stdout: string; stderr: string }> => {
    const file = join(bench.home, 'class.csv');
    writeFileSync(file, text);
    return bench.call(['users', 'import', file]);
  };

  it('R10: import creates what is missing and reports each line', async () => {
    bench.api.on('POST /api/users', ({ body }) =>
      (body as { username: string }).username === 'bob'
        ? problem(409, 'username_taken', 'Taken.')
        : { status: 201, body: { user, one_time_code: code } },
    );
    const { code: exit, stdout } = await importing('username\nada\nbob\n');
    expect([exit, stdout.split('\n')]).toEqual([
      0,
      ['line,username,result,one_time_code,expires_at,reason', `2,ada,created,${code.code},${code.expires_at},`, '3,bob,exists,,,', ''],
    ]);
  });

  it('R10: import sends nothing of a file with a fault, and stops where no account can be made', async () => {
    bench.api.on('POST /api/users', problem(403, 'forbidden', 'Only an admin may do that.'));
    expect((await importing('username\nada\nBOB\n')).code).toBe(2);
    expect(bench.api.seen).toHaveLength(0);
    const { code: exit, stdout } = await importing('username\nada\nbob\n');
    expect([exit, bench.api.seen.length]).toEqual([1, 1]);
    expect(stdout).toContain('2,ada,failed,,,Only an admin may do that.\n3,bob,not tried,,,\n');
  });

  it('R10: list what they are told, with their state', async () => {
    bench.api.on('GET /api/users', page({ ...user, must_change_password: true }));
    expect((await bench.call(['users'])).stdout).toContain('must change the password');
  });
});
