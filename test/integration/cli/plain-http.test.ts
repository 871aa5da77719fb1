import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../../lab';
import { useBench } from './support/cli';

/** This machine by an address that is not loopback, or a name that is nobody's: nothing may be sent there. */
const elsewhere = (): string =>
  Object.values(networkInterfaces())
    .flat()
    .find((address) => address?.internal === false && address.family === 'IPv4')?.address ?? '192.0.2.1';

describe('a server without TLS on another machine', () => {
  const bench = useBench();
  let server: Server;
  let connections: number;
  let url: string;
  beforeEach(async () => {
    connections = 0;
    server = createServer((socket) => {
      connections += 1;
      socket.destroy();
    });
    server.listen(0, '0.0.0.0');
    await eventually(() => server.listening, { what: 'the listener' });
    url = `http://${elsewhere()}:${(server.address() as { port: number }).port}`;
  });
  afterEach(() => void server.close());

  it.each([
    ['a password', ['login', '--username', 'ada', '--password-stdin'], {}],
    ["a new account's password", ['signup', '--username', 'ada', '--password-stdin'], {}],
    ['a token', ['leases'], { ORION_TOKEN: 'x' }],
    ['a token, for the stream', ['nodes', '--watch'], { ORION_TOKEN: 'x' }],
  ])(
    'is not sent %s',
    async (_what, args, env) => {
      const { code, stderr } = await bench.call([...args, '--server', url], { stdin: 'a long password\n', env });
      expect({ code, connections }).toEqual({ code: 2, connections: 0 });
      expect(stderr).toContain('has no TLS');
      expect(stderr).toContain('ORION_CA_FILE');
    },
    30_000,
  );

  it('does not keep a login from being forgotten', async () => {
    bench.logIn();
    const file = join(bench.configDir, 'config.json');
    writeFileSync(file, JSON.stringify({ server: url, username: 'ada', token: 'stored-token' }), { mode: 0o600 });
    expect(await bench.call(['logout'])).toMatchObject({ code: 0, stderr: expect.stringContaining('was not revoked') as unknown });
    expect(readFileSync(file, 'utf8')).not.toContain('stored-token');
    expect(connections).toBe(0);
  }, 30_000);

  it('may be the own machine', async () => {
    bench.api.on('POST /api/login', { body: { token: 't', expires_in_seconds: 1, user: { id: 1, username: 'ada', role: 'user' } } });
    expect(
      (await bench.call(['login', '--username', 'ada', '--password-stdin', '--server', bench.api.url], { stdin: 'a long password\n' }))
        .code,
    ).toBe(0);
  }, 30_000);
});
