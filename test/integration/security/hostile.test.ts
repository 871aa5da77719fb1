import { connect } from 'node:net';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createHttpClient, type HttpAnswer, type HttpRequest } from '../../chaos/http/client';
import { aLease, aNode, aUser } from '../../support/builders';
import { close, useForAll, useTestApi, useTestDatabase } from '../../support/hooks';
import { anSshKey } from '../../support/keys';
import { checksums, expectRefusal } from './support';

const database = useTestDatabase();
const api = useTestApi(database, { settings: { trustProxy: 'loopback' } });
const user = useForAll(() => aUser(database.db));
const admin = useForAll(() => aUser(database.db, { role: 'admin' }));
const node = useForAll(() => aNode(database.db));
const lease = useForAll(() => aLease(database.db, { userId: user.id, nodeId: node.id }));
const client = useForAll(() => createHttpClient(8), close);
beforeAll(() => aNode(database.db), 60_000);

let before: Record<string, string>;
beforeEach(async () => {
  before = await checksums(database.db);
});
afterEach(async () => {
  expect(await checksums(database.db)).toEqual(before);
  expect(Object.keys(Object.prototype)).toEqual([]);
});

const JSON_TYPE = { 'Content-Type': 'application/json' };
type Who = 'user' | 'admin' | 'node' | 'nobody';
const bearer = (who: Who): Record<string, string> =>
  who === 'nobody' ? {} : { Authorization: `Bearer ${who === 'node' ? node.credential : api.tokenOf(who === 'user' ? user : admin)}` };
const send = (who: Who, sent: HttpRequest): Promise<HttpAnswer> =>
  client.send(api.url, { ...sent, headers: { ...bearer(who), ...sent.headers } });
const post = (who: Who, path: string, body: object | string | Buffer, headers: Record<string, string> = {}): Promise<HttpAnswer> =>
  send(who, {
    method: 'POST',
    path,
    headers: { ...JSON_TYPE, ...headers },
    body: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
  });

const RENT = { duration_hours: 1, with_password: true };
const SHELL = [
  '; reboot',
  '$(reboot)',
  '`reboot`',
  '| nc 127.0.0.1 1',
  '&& id',
  '-oProxyCommand=id',
  '../../etc/passwd',
  '{{ 7*7 }}',
  '${jndi:ldap://127.0.0.1/x}',
  '%s%s%n',
  "' OR '1'='1",
  '"; DROP TABLE users; --',
  '\\',
  '\u0000',
  'a\nb',
  '\u202e',
  '\ud800',
  '<script>',
];

describe('public keys', () => {
  const key = anSshKey();
  const [type = '', blob = ''] = key.split(' ');
  const KEYS: [string, string][] = [
    ['options in front', `command="id" ${key}`],
    ['more options', `no-pty,from="*" ${key}`],
    ['cert-authority', `cert-authority ${key}`],
    ['two keys', `${key}\n${anSshKey()}`],
    ['a line with a command behind', `${key}\ncommand="id" ${key}`],
    ['a CRLF in its middle', `${type}\r\n${blob}`],
    ['a NUL', `${key}\u0000`],
    ['a NUL in the comment', `${key} a\u0000b`],
    ['a tab', `${type}\t${blob}`],
    ['an escape', `${key} \u001b[2J`],
    ['a line separator', `${key}\u2028x`],
    ['no key', 'none'],
    ['nothing', ''],
    ['a DSA key', `ssh-dss ${blob}`],
    ['two halves that differ', `ssh-rsa ${blob}`],
    ['8192 letters', 'x'.repeat(8192)],
    ['8193 letters', `${key} ${'x'.repeat(8193)}`],
    ...SHELL.map((text): [string, string] => [JSON.stringify(text), `${type} ${text}`]),
  ];

  it.each(KEYS)('R17: with %s, none is taken: not for a rent, an account or a machine', async (what, text) => {
    expectRefusal(await post('user', '/api/rent', { ...RENT, ssh_public_key: text }), what);
    expectRefusal(await post('user', '/api/keys', { public_key: text }), what);
    expectRefusal(await post('nobody', '/api/register', { hostname: 'h', host_key: text }), what);
    expectRefusal(await post('node', '/api/workers/heartbeat', { host_key: text }), what);
  });
});

describe('numbers', () => {
  const RAW = [
    '0',
    '-1',
    '-0',
    '1e308',
    '1e999',
    '-1e999',
    '1e-400',
    'NaN',
    'Infinity',
    '"5"',
    'null',
    '[]',
    '[1]',
    '{}',
    'true',
    '"1 OR 1=1"',
    '9007199254740993',
    '0x10',
    '01',
    '1_000',
    '1.',
    '"NaN"',
  ];

  it.each(RAW)('R11: %s is no duration and no count', async (value) => {
    for (const body of [
      `{"duration_hours":${value},"with_password":true}`,
      `{"duration_minutes":${value},"with_password":true}`,
      `{"duration_hours":1,"with_password":true,"count":${value}}`,
    ]) {
      expectRefusal(await post('user', '/api/rent', body), body);
    }
    for (const body of [`{"lease_id":${lease.id},"duration_hours":${value}}`, `{"lease_id":${value},"duration_hours":1}`]) {
      expectRefusal(await post('user', '/api/extend', body), body);
    }
  });

  it.each(RAW.filter((value) => value !== '{}'))('R1: %s is no port, no number of CPUs, of uses, no life of a token', async (value) => {
    for (const body of [`"ssh_port":${value}`, `"facts":{"cpus":${value}}`].map(
      (member) => `{"hostname":"h","host_key":"${anSshKey()}",${member}}`,
    )) {
      expectRefusal(await post('nobody', '/api/register', body), body);
    }
    for (const body of [`{"name":"x","max_uses":${value}}`, `{"name":"x","ttl_hours":${value}}`]) {
      expectRefusal(await post('admin', '/api/tokens', body), body);
    }
  });

  it('R1: more of anything than its column holds is refused', async () => {
    for (const facts of [
      { memory_mb: 4_294_967_296 },
      { memory_mb: 1e12 },
      { cpus: 100_001 },
      { disk_mb: 1e13 },
      { os: 'x'.repeat(201) },
    ]) {
      expectRefusal(await post('nobody', '/api/register', { hostname: 'h', host_key: anSshKey(), facts }), JSON.stringify(facts));
    }
    expectRefusal(await post('admin', `/api/nodes/${node.id}/quarantine`, { reason: 'x'.repeat(301) }), 'a long reason');
    expectRefusal(
      await send('admin', { method: 'PATCH', path: `/api/users/${user.id}`, headers: JSON_TYPE, body: '{"max_leases":4294967296}' }),
      'a large quota',
    );
  });
});

describe('ids in paths, and queries', () => {
  const IDS = [
    '0',
    '-1',
    '+1',
    '1e3',
    '1e0',
    '0x1',
    '01x',
    '1.0',
    '1.5',
    '1;DROP%20TABLE%20leases',
    '1%20OR%201=1',
    '%201',
    '1%20',
    '1%00',
    '%ff',
    '%',
    '%2e%2e',
    '..%2f1',
    'NaN',
    'Infinity',
    'null',
    'undefined',
    '__proto__',
    '9007199254740993',
    '1'.repeat(40),
    '%F0%9F%92%A5',
    '%EF%BC%91',
    '1,2',
    '[1]',
    '%27',
    "1'--",
  ];

  it.each(IDS)('%s names nothing', async (id) => {
    for (const [who, method, path] of [
      ['user', 'GET', '/api/leases/'],
      ['user', 'DELETE', '/api/keys/'],
      ['admin', 'PATCH', '/api/users/'],
      ['admin', 'DELETE', '/api/tokens/'],
      ['admin', 'POST', '/api/nodes/'],
    ] as const) {
      const answer = await send(who, {
        method,
        path: `${path}${id}${path === '/api/nodes/' ? '/retire' : ''}`,
        headers: JSON_TYPE,
        ...(method === 'PATCH' ? { body: '{}' } : {}),
      });
      expectRefusal(answer, `${method} ${path}${id}`);
    }
  });

  it.each([
    'limit=0',
    'limit=501',
    'limit=1e2',
    'limit=0x10',
    'limit=-1',
    'limit=',
    'limit=1&limit=2',
    'limit=1.5',
    'cursor=-1',
    'cursor=1e3',
    'cursor=1%3BDROP',
    'cursor=',
    'cursor=1&cursor=2',
    `cursor=${'9'.repeat(16)}`,
  ])('?%s is no page', async (query) => {
    for (const path of ['/api/users', '/api/nodes', '/api/tokens', '/api/leases']) {
      expectRefusal(await send('admin', { method: 'GET', path: `${path}?${query}` }), `${path}?${query}`);
    }
  });

  it('of an asset that is none, or not as asked for, are refused in the same way as anything', async () => {
    for (const path of ['..%2f..%2fpackage.json', '%2e%2e/index.js', '....//package.json', '%00', '%ff', 'x.css']) {
      expectRefusal(await send('nobody', { method: 'GET', path: `/api/docs/assets/${path}` }), path);
    }
    expectRefusal(await send('nobody', { method: 'GET', path: '/api/docs/assets' }), 'the folder');
    for (const headers of [{ Range: 'bytes=999999999-' }, { 'If-Match': '"x"' }] as Record<string, string>[]) {
      expectRefusal(await send('nobody', { method: 'GET', path: '/api/docs/assets/swagger-ui.css', headers }), JSON.stringify(headers));
    }
  });
});

describe('bodies', () => {
  const deep = (n: number): string => `${'{"a":'.repeat(n)}1${'}'.repeat(n)}`;
  const CREDENTIALS = '{"username":"mallory","password":"long enough one"}';
  const bytes = (...parts: (string | number[])[]): Buffer =>
    Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Buffer.from(part))));
  const BODIES: [string, string | Buffer, Record<string, string>, number][] = [
    ['a byte too large', `{"username":"mallory","password":"long enough one"${' '.repeat(65_536)}}`, {}, 413],
    ['deep', deep(5_000), {}, 400],
    ['deep arrays', `{"username":${'['.repeat(30_000)}${']'.repeat(30_000)},"password":"x"}`, {}, 400],
    ['never closed', '['.repeat(60_000), {}, 400],
    ['of 30,000 members', `{${Array.from({ length: 5_000 }, (_, n) => `"m${n}":1`).join()}}`, {}, 400],
    ['with __proto__', '{"__proto__":{"role":"admin"},"username":"mallory","password":"long enough one"}', {}, 400],
    ['with constructor', '{"constructor":{"prototype":{"x":1}},"username":"mallory","password":"long enough one"}', {}, 400],
    ['with a role', '{"role":"admin","username":"mallory","password":"long enough one"}', {}, 400],
    ['in UTF-16', Buffer.from(CREDENTIALS, 'utf16le'), { 'Content-Type': 'application/json; charset=utf-16' }, 415],
    ['in UTF-7', CREDENTIALS, { 'Content-Type': 'application/json; charset=utf-7' }, 415],
    ['in latin1', CREDENTIALS, { 'Content-Type': 'application/json; charset=iso-8859-1' }, 415],
    ['no UTF-8', bytes('{"username":"mallory","password":"', [0xff, 0xc0, 0x80], 'long enough"}'), {}, 415],
    ['UTF-8 with half of a pair', bytes('{"username":"mallory","password":"', [0xed, 0xa0, 0x80], 'long enough"}'), {}, 415],
    ['UTF-16 that says nothing', Buffer.from(CREDENTIALS, 'utf16le'), {}, 400],
    ['with a NUL behind', bytes(CREDENTIALS, [0]), {}, 400],
    ['said to be gzip', CREDENTIALS, { 'Content-Encoding': 'gzip' }, 400],
    ['gzip cut off', gzipSync(CREDENTIALS).subarray(0, 30), { 'Content-Encoding': 'gzip' }, 400],
    ['a gzip bomb', gzipSync(Buffer.alloc(20_000_000, ' ')), { 'Content-Encoding': 'gzip' }, 413],
    ['a brotli bomb', brotliCompressSync(Buffer.alloc(20_000_000, ' ')), { 'Content-Encoding': 'br' }, 413],
    ['said to be brotli', CREDENTIALS, { 'Content-Encoding': 'br' }, 400],
    ['twice encoded', gzipSync(gzipSync(CREDENTIALS)), { 'Content-Encoding': 'gzip, gzip' }, 415],
    ['of no type', CREDENTIALS, { 'Content-Type': '' }, 415],
    ['of a form', 'username=mallory&password=long+enough+one', { 'Content-Type': 'application/x-www-form-urlencoded' }, 415],
    ['of parts', CREDENTIALS, { 'Content-Type': 'multipart/form-data; boundary=x' }, 415],
    ['of XML', '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>', { 'Content-Type': 'application/xml' }, 415],
    ['plain text', CREDENTIALS, { 'Content-Type': 'text/plain' }, 415],
    ['a bare value', '"x"', {}, 400],
    ['null', 'null', {}, 400],
    ['an array', `[${CREDENTIALS}]`, {}, 400],
    ['nothing', '', {}, 400],
    ['two values', `${CREDENTIALS}${CREDENTIALS}`, {}, 400],
    ['JavaScript', "{username:'mallory',password:'long enough one'}", {}, 400],
  ];

  it.each(BODIES)('that are %s are refused', async (what, body, headers, status) => {
    const answer = await post('nobody', '/api/signup', body, headers);
    expectRefusal(answer, what);
    expect([what, answer.status]).toEqual([what, status]);
  });

  it.each(SHELL)('R44: %j is no name of a user, a machine, an address, a label', async (text) => {
    for (const [who, path, body] of [
      ['nobody', '/api/signup', { username: text, password: 'long enough one' }],
      ['nobody', '/api/login', { username: text, password: text }],
      ['nobody', '/api/register', { hostname: text, host_key: anSshKey() }],
      ['nobody', '/api/register', { hostname: 'h', address: text, host_key: anSshKey() }],
      ['nobody', '/api/register', { hostname: 'h', host_key: anSshKey(), labels: { zone: `a${text}` } }],
      ['nobody', '/api/register', { hostname: 'h', host_key: anSshKey(), labels: { [`a ${text}`]: 'b' } }],
      ['nobody', '/api/register', { hostname: 'h', host_key: anSshKey(), join_token: text }],
      ['user', '/api/rent', { ...RENT, client_id: text }],
      ['admin', '/api/rent', { ...RENT, client_id: text }],
      ['user', '/api/rent', { ...RENT, requirements: { labels: { zone: `a${text}` } } }],
      ['admin', '/api/nodes/999999/approve', { host_key_fingerprint: text }],
      ['admin', '/api/nodes/999999/quarantine', { reason: text }],
    ] as const) {
      // Labels may hold slashes and dots.
      if (!(text === '../../etc/passwd' && JSON.stringify(body).includes('labels'))) {
        expectRefusal(await post(who, path, body), `${path} ${JSON.stringify(body)}`);
      }
    }
  });
});

describe('half of a surrogate pair', () => {
  it.each([
    ['a reason', 'admin', () => [`/api/nodes/${node.id}/quarantine`, { reason: 'it smokes \ud800' }]],
    ['a fact', 'nobody', () => ['/api/register', { hostname: 'h', host_key: anSshKey(), facts: { os: 'Debian \udfff' } }]],
    ['a name of a key', 'user', () => ['/api/keys', { public_key: anSshKey(), name: '\ud800' }]],
    ['a name of a token', 'admin', () => ['/api/tokens', { name: '\ud83d' }]],
    ['a password', 'nobody', () => ['/api/signup', { username: 'mallory', password: 'long enough \ud800' }]],
  ] as [string, Who, () => [string, object]][])('as %s is refused', async (what, who, make) => {
    expectRefusal(await post(who, ...make()), what);
  });
});

describe('headers', () => {
  it.each(['x'.repeat(10_000), 'x'.repeat(129), 'a b', 'schlüssel', '', ' ', 'a\tb'])(
    'an Idempotency-Key like %j is refused',
    async (key) => {
      for (const [path, body] of [
        ['/api/rent', RENT],
        ['/api/extend', { lease_id: lease.id, duration_hours: 1 }],
      ] as const) {
        expectRefusal(await post('user', path, body, { 'Idempotency-Key': key }), path);
      }
    },
  );

  it('an address that a proxy made up is none: nobody is enrolled there', async () => {
    for (const from of ['$(id)', 'x'.repeat(400), '-oProxyCommand=id', '127.0.0.1:80', '999.1.1.1', "' OR 1=1"]) {
      expectRefusal(await post('nobody', '/api/register', { hostname: 'h', host_key: anSshKey() }, { 'X-Forwarded-For': from }), from);
      expectRefusal(await post('nobody', '/api/login', { username: 'x', password: 'x' }, { 'X-Forwarded-For': from }), from);
    }
  });

  /** Bytes as they are: what comes back until the server closes. */
  const raw = (text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const { port } = new URL(api.url);
      let said = '';
      const socket = connect({ host: '127.0.0.1', port: Number(port) }, () => socket.end(text));
      socket
        .on('data', (chunk) => (said += chunk.toString()))
        .on('close', () => resolve(said))
        .on('error', reject);
    });
  const head = (...lines: string[]): string => ['POST /api/rent HTTP/1.1', 'Host: x', ...lines, '', ''].join('\r\n');

  it.each([
    ['a control character in a header', () => head('Idempotency-Key: a\u0001b', 'Content-Length: 0'), 400],
    ['a NUL in a header', () => head('Idempotency-Key: a\u0000b', 'Content-Length: 0'), 400],
    ['a line feed that hides a header', () => head('X-A: b\nTransfer-Encoding: chunked', 'Content-Length: 2'), 400],
    ['two lengths', () => head('Content-Length: 2', 'Content-Length: 3'), 400],
    ['a length and chunks', () => `${head('Content-Length: 2', 'Transfer-Encoding: chunked')}0\r\n\r\n`, 400],
    ['a length that is none', () => head('Content-Length: -1'), 400],
    ['a chunk that is none', () => `${head('Content-Type: application/json', 'Transfer-Encoding: chunked')}zz\r\n`, 400],
    ['headers of 20 kB', () => head(`X-A: ${'x'.repeat(20_000)}`), 431],
    ['no method', () => 'GIMME /api/me HTTP/1.1\r\n\r\n', 400],
    ['no protocol', () => 'GET /api/me SPDY/9\r\n\r\n', 400],
    ['TLS', () => '\u0016\u0003\u0001\u0002', 400],
  ])('%s is refused with a problem, and the connection ends', async (what, make, status) => {
    const [start = '', body = ''] = (await raw(make())).split('\r\n\r\n');
    const headers = Object.fromEntries(
      start
        .split('\r\n')
        .slice(1)
        .map((line) => [line.replace(/:.*/, '').toLowerCase(), line.replace(/^[^:]*: /, '')]),
    );
    expect([what, start.split('\r\n')[0]]).toEqual([what, expect.stringContaining(`HTTP/1.1 ${status} `)]);
    expectRefusal({ status, headers, text: body }, what);
    expect(headers['connection']).toBe('close');
  });
});
