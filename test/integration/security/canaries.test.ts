import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { generateSshKeyPair, startDatabaseProxy } from '../../lab';
import { createHttpClient, type HttpAnswer } from '../../chaos/http/client';
import { close, useFirstWorker, useFleet, useForAll, useSystem } from '../../support/hooks';
import { fastConstants } from '../../support/system';
import type { Lease, Rented } from '../../../src/contract';
import { watchProcesses } from './watch-processes';

/** Everything that must be nowhere but where it belongs, by name; each is told from all else by its own random letters. */
const canaries = new Map<string, string>();
const PASSWORD = 'canary-password-8f1d2c7be93a';
const WRONG = 'canary-wrong-5a0e97d41c66';
const said: { path: string; answer: HttpAnswer }[] = [];
const logs: [string, () => string][] = [];
const system = useSystem({
  apis: 1,
  schedulers: 1,
  env: { ...fastConstants({ claimSeconds: 30 }), LOG_LEVEL: 'debug', ORION_PLAY_TIMEOUT_SECONDS: '120' },
});
const client = useForAll(() => createHttpClient(4), close);
const watch = useForAll(watchProcesses, (watching) => watching.stop());
const worker = useFirstWorker(useFleet(system, 1, { agentEnv: { LOG_LEVEL: 'debug' } }));
let plays: string[];
let tenantKey: string;

/** The lines of a private key's body: none of them may be anywhere. The first holds what is public. */
const linesOfKey = (file: string): string[] => readFileSync(file, 'utf8').trim().split('\n').slice(3, -1);
const note = (name: string, ...secrets: string[]): void =>
  secrets.forEach((secret, n) => void canaries.set(n === 0 ? name : `${name} ${n}`, secret));

interface Asked {
  token?: string | undefined;
  body?: object | string;
  url?: string;
}

// eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- the caller says what the API answers
async function ask<T>(
  method: string,
  path: string,
  { token, body, url = system.apis[0]?.url ?? '' }: Asked = {},
): Promise<{ status: number; body: T }> {
  const headers = {
    ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
  };
  const answer = await client.send(url, {
    method,
    path,
    headers,
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  said.push({ path, answer });
  return { status: answer.status, body: (/json/.test(answer.headers['content-type'] ?? '') ? JSON.parse(answer.text) : undefined) as T };
}

beforeAll(async () => {
  const { env } = system;
  const own = await generateSshKeyPair(system.lab.dir, 'tenant');
  tenantKey = own.keyFile;
  note('the password of the database', env['ORION_DB_PASSWORD'] ?? '');
  note('the key of the access tokens', env['ORION_JWT_KEY'] ?? '');
  note('the private key of the control plane', ...linesOfKey(env['ORION_SSH_KEY_FILE'] ?? ''));
  note('the join token', system.joinToken);
  note('the credential of the node', (await worker.exec('cat /var/lib/orion/agent/credential')).stdout.trim());
  note('the password of the user', PASSWORD);
  note('a wrong password', WRONG);
  note('the private key of the tenant', ...linesOfKey(own.keyFile));
  logs.push(...[...system.apis, ...system.schedulers].map((each): [string, () => string] => [each.role, () => each.log()]));
  await useIt(own.publicKey);
  await failWithoutDatabase();
  plays = watch.stop();
}, 400_000);

/** A life of a lease, with everything that may go wrong on the way. */
async function useIt(publicKey: string): Promise<void> {
  const credentials = { username: 'canary', password: PASSWORD };
  expect((await ask('POST', '/api/signup', { body: credentials })).status).toBe(201);
  const { token } = (await ask<{ token: string }>('POST', '/api/login', { body: credentials })).body;
  note('the access token', token);
  await ask('POST', '/api/signup', { body: credentials });
  await ask('POST', '/api/login', { body: { ...credentials, password: WRONG } });
  await ask('POST', '/api/login', { body: { username: WRONG, password: WRONG } });
  await ask('POST', '/api/login', { body: { username: 'canary', password: [WRONG] } });
  await ask('POST', '/api/login', { body: `{"username":"canary","password":"${WRONG}"` });
  await ask('POST', '/api/signup', { body: { username: 'other', password: WRONG, token: PASSWORD } });
  await ask('GET', '/api/me', { token: `${token}x` });
  await ask('POST', '/api/register', { body: { hostname: 'x', host_key: WRONG, join_token: `${WRONG}-join` } });
  await ask('POST', '/api/register', { body: { hostname: 'x', host_key: publicKey, join_token: `${WRONG}-join` } });
  await ask('POST', '/api/workers/heartbeat', { token: canaries.get('the join token'), body: {} });

  const rented = await ask<Rented>('POST', '/api/rent', {
    token,
    body: { duration_minutes: 5, ssh_public_key: publicKey, with_password: true },
  });
  expect(rented.status).toBe(201);
  note('the generated password', rented.body.password ?? '');
  const [lease] = rented.body.leases as [Lease];
  await ask('POST', '/api/extend', { token, body: { lease_id: lease.id, duration_minutes: 5 } });
  await ask('POST', '/api/extend', { token, body: { lease_id: lease.id, duration_minutes: WRONG } });
  for (const path of [`/api/leases/${lease.id}`, '/api/leases', '/api/nodes', '/api/me', '/api/keys', '/readyz', '/api/openapi.json']) {
    await ask('GET', path, { token });
  }
  await ask('POST', '/api/release', { token, body: { lease_id: lease.id } });
  await system.untilFree(1, 120_000);
  for (const path of ['/api/nodes', '/api/users', '/api/tokens', '/api/leases?scope=all', '/api/support', `/api/leases/${lease.id}`]) {
    const { status, headers, body } = await system.admin.get(path);
    said.push({ path, answer: { status, headers: Object.fromEntries(headers), text: JSON.stringify(body) } });
  }
  await ask('GET', '/metrics', { url: system.schedulers[0]?.opsUrl ?? '' });
}

/** One more API, whose database goes away: errors of drivers like to tell everything. */
async function failWithoutDatabase(): Promise<void> {
  const upstream = { host: system.env['ORION_DB_HOST'] ?? '', port: Number(system.env['ORION_DB_PORT']) };
  const proxy = await startDatabaseProxy(system.lab, upstream);
  const api = await system.startApi({ env: { ORION_DB_HOST: proxy.host, ORION_DB_PORT: String(proxy.port) } });
  logs.push(['cut off', () => api.log()]);
  upstream.port = 1;
  proxy.cutAll();
  expect((await ask('GET', '/api/me', { url: api.url, token: canaries.get('the access token') })).status).toBe(503);
  expect((await ask('POST', '/api/login', { url: api.url, body: { username: 'canary', password: PASSWORD } })).status).toBe(503);
  expect((await ask('GET', '/metrics', { url: api.opsUrl })).status).toBe(200);
}

/** Names of the canaries in a text. */
const found = (text: string, ...belong: string[]): string[] =>
  [...canaries].filter(([name, secret]) => text.includes(secret) && !belong.includes(name)).map(([name]) => name);

/** Every regular file below a folder whose path is not left out. */
function filesIn(folder: string, leftOut: RegExp): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (leftOut.test(path)) {
      return [];
    }
    return entry.isDirectory() ? filesIn(path, leftOut) : entry.isFile() && lstatSync(path).size < 50_000_000 ? [path] : [];
  });
}

describe('secrets, after a life of a lease with everything logged', () => {
  it('R44: the canaries are there: every one of them is something, and long', () => {
    expect([...canaries].filter(([, secret]) => secret.length < 16)).toEqual([]);
    expect(canaries.size).toBeGreaterThanOrEqual(11);
  });

  it('R44: are in no log of any process', () => {
    for (const [name, read] of [
      ...logs,
      ...readdirSync(worker.logs).map((file): [string, () => string] => [file, () => readFileSync(join(worker.logs, file), 'utf8')]),
    ]) {
      expect([name, found(read())]).toEqual([name, []]);
    }
    expect(logs.map(([, read]) => read()).join('')).toContain('"level":"debug"');
  });

  it('R44: are in no answer but the one that shows them, once', () => {
    const shown: Record<string, string> = { '/api/login': 'the access token', '/api/rent': 'the generated password' };
    for (const { path, answer } of said) {
      expect([path, answer.status, found(answer.text + JSON.stringify(answer.headers), shown[path] ?? '')]).toEqual([
        path,
        answer.status,
        [],
      ]);
    }
    expect(said.filter(({ path, answer }) => path === '/api/rent' && found(answer.text).includes('the generated password'))).toHaveLength(
      1,
    );
    expect(said.length).toBeGreaterThan(30);
  });

  it('R44: were in no argument of any process of this machine, and in no environment of a play', () => {
    expect(plays.length).toBeGreaterThan(10);
    expect(plays.flatMap((seen) => found(seen).map((name) => `${name}: ${seen.slice(0, 100)}`))).toEqual([]);
  });

  it('R44: are in no column of any table, but as hashes', async () => {
    const tables = (await system.sql<Record<string, string>>('SHOW TABLES')).flatMap((row) => Object.values(row));
    for (const table of tables) {
      const rows = JSON.stringify(await system.sql(`SELECT * FROM \`${table}\``));
      expect([table, found(rows)]).toEqual([table, []]);
      expect([table, /PRIVATE KEY/.test(rows)]).toEqual([table, false]);
    }
    // Of the generated password not even that: it is forgotten with the lease's end.
    const [stored] = await system.sql<{ password_hash: string; lease_hash: string | null }>(
      "SELECT u.password_hash, l.password_hash AS lease_hash FROM users u JOIN leases l ON l.user_id = u.id WHERE u.username = 'canary'",
    );
    expect(stored).toMatchObject({ password_hash: expect.stringMatching(/^\$argon2id\$/), lease_hash: null });
  });

  it('R44: are in no file that is left: of a play, of a role, or on the node', () => {
    const pids = [...system.apis, ...system.schedulers].map(({ pid }) => pid);
    // A folder each for the process that has Ansible loaded, as long as it runs: a socket and no file.
    const folders = readdirSync(tmpdir()).filter((name) => pids.some((pid) => name.startsWith(`orion-play-${pid}-`)));
    expect(folders.length).toBeLessThanOrEqual(pids.length);
    expect(folders.flatMap((name) => filesIn(join(tmpdir(), name), /^$/))).toEqual([]);
    const keys = system.env['ORION_SSH_KEY_FILE'] ?? '';
    for (const file of filesIn(system.lab.dir, /\/(?:root|work|template|mariadb[^/]*)$/).filter((path) => path !== tenantKey)) {
      const belong =
        file === keys
          ? [...canaries.keys()].filter((name) => name.startsWith('the private key of the control plane'))
          : /credential$/.test(file)
            ? ['the credential of the node']
            : /token/.test(file)
              ? ['the join token']
              : [];
      expect([file, found(readFileSync(file, 'latin1'), ...belong)]).toEqual([file, []]);
    }
  });
});
