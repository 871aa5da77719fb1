import { describe, expect, it } from '@jest/globals';
import { aSpec, asRoot, asTenant, nodeOf, tenantOf, useBench } from './support';

const LIMIT_MS = 60_000;
const OF_MACHINE = 'root 198.51.100.9';

/** Adds logins of root's and of the tenant's to what a machine keeps of them. */
const LOGINS = String.raw`import os, sqlite3, struct, sys
name, uid = sys.argv[1].encode(), int(sys.argv[2])
def record(kind, user, host, line):
    return struct.pack('<hxxi32s4s32s256shhiii16s20x', kind, 4711, line, b'ts/1', user, host, 0, 0, 0, 1700000000, 0, bytes(16))
for path in ('/run/utmp', '/var/log/wtmp', '/var/log/btmp'):
    with open(path, 'wb') as file:
        for kind, user, host, line in ((7, b'root', b'198.51.100.9', b'pts/0'), (7, name, b'192.0.2.7', b'pts/1'), (8, b'', b'', b'pts/0'), (8, b'', b'', b'pts/1'), (7, b'root', b'198.51.100.9', b'pts/2')):
            file.write(record(kind, user, host, line))
for path, size in (('/var/log/lastlog', 292), ('/var/log/faillog', 32)):
    with open(path, 'wb') as file:
        for slot in (0, uid, uid + 1):
            file.seek(slot * size)
            file.write(b'%d' % slot)
os.makedirs('/var/lib/lastlog', exist_ok=True)
with sqlite3.connect('/var/lib/lastlog/lastlog2.db') as database:
    database.execute('CREATE TABLE Lastlog2 (Name TEXT, RemoteHost TEXT)')
    database.executemany('INSERT INTO Lastlog2 VALUES (?, ?)', [('root', '198.51.100.9'), (name.decode(), '192.0.2.7')])
with open('/var/log/auth.log', 'w') as log:
    log.write('Accepted publickey for %s\n' % name.decode())
os.chmod('/var/log/auth.log', 0o644)
`;
const SHOW = (uid: number): string => String.raw`import os, sqlite3, struct
for path in ('/run/utmp', '/var/log/wtmp', '/var/log/btmp'):
    data = open(path, 'rb').read()
    print(path, [' '.join(text.split(b'\0')[0].decode() for text in (record[44:76], record[76:332], record[8:40])) for record in (data[at:at + 384] for at in range(0, len(data), 384))])
for path, size in (('/var/log/lastlog', 292), ('/var/log/faillog', 32)):
    with open(path, 'rb') as file:
        print(path, [(file.seek(slot * size), file.read(10).strip(b'\0').decode())[1] for slot in (0, ${uid}, ${uid + 1})])
print(sqlite3.connect('/var/lib/lastlog/lastlog2.db').execute('SELECT * FROM Lastlog2').fetchall())
print(oct(os.stat('/var/log/auth.log').st_mode)[-3:], open('/var/log/auth.log').read().strip()[:22])`;

describe('what a machine notes about its accounts', () => {
  const { bench, worker } = useBench();

  const lease = async (): Promise<ReturnType<typeof aSpec>> => {
    const spec = aSpec(bench.tenantKey);
    await bench.provisioner.ensurePresent(nodeOf(worker), spec);
    return spec;
  };

  it(
    'the next tenant cannot see who logged in to a terminal before',
    async () => {
      const gone = await lease();
      const read = 'last -w -f /var/log/wtmp; tr -d "\\0" < /var/log/wtmp';
      expect(await asTenant(tenantOf(worker, gone.username, bench.tenantKey), read, { tty: true })).toContain(gone.username);
      await bench.provisioner.wipe(nodeOf(worker), [gone]);
      expect(await asTenant(tenantOf(worker, (await lease()).username, bench.tenantKey), read)).not.toContain(gone.username);
    },
    LIMIT_MS,
  );

  it(
    'goes with the tenant, and what it notes about others stays byte for byte in its place',
    async () => {
      const spec = await lease();
      await asRoot(worker, `python3 - ${spec.username} ${spec.uid}`, LOGINS);
      await bench.provisioner.wipe(nodeOf(worker), [spec]);
      const logins = [`${OF_MACHINE} pts/0`, '  ', '  pts/0', '  ', `${OF_MACHINE} pts/2`];
      const shown = (list: string[]): string => `[${list.map((text) => `'${text}'`).join(', ')}]`;
      expect((await asRoot(worker, 'python3 -', SHOW(spec.uid))).split('\n')).toEqual([
        ...['/run/utmp', '/var/log/wtmp', '/var/log/btmp'].map((path) => `${path} ${shown(logins)}`),
        ...['/var/log/lastlog', '/var/log/faillog'].map((path) => `${path} ${shown(['0', '', String(spec.uid + 1)])}`),
        `[('root', '198.51.100.9')]`,
        '640 Accepted publickey for',
      ]);
      expect((await bench.provisioner.verifyClean(nodeOf(worker), [spec])).findings).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'lets no next tenant read a key that the last one left for everybody',
    async () => {
      const [gone, next] = [await lease(), await lease()];
      const left = await asTenant(tenantOf(worker, gone.username, bench.tenantKey), 'python3 -', {
        input: `import ctypes
libc = ctypes.CDLL(None)
key = libc.syscall(248, b'user', b'left', b'a secret', 8, ctypes.c_long(-4))
libc.syscall(250, ctypes.c_long(5), ctypes.c_long(key), ctypes.c_long(0x3f3f3f3f))
print(key)`,
      });
      const read = async (spec: typeof next): Promise<string> =>
        asTenant(tenantOf(worker, spec.username, bench.tenantKey), 'python3 -', {
          input: `import ctypes
text = ctypes.create_string_buffer(8)
print(ctypes.CDLL(None).syscall(250, ctypes.c_long(11), ctypes.c_long(${left}), text, ctypes.c_long(8)), text.raw)`,
        });
      expect(await read(next)).toBe(`8 b'a secret'`);
      const report = await bench.provisioner.wipe(nodeOf(worker), [gone, next]);
      expect(report.details['keys_removed']).toBeGreaterThanOrEqual(2);
      expect(await read(await lease())).toMatch(/^-1 /);
    },
    LIMIT_MS,
  );
});
