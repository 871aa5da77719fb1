import { beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createDatabase } from '../../../src/db/connection';
import { type DatabaseAccess, projectDir, run, type RunResult, runOrThrow, startMariaDb } from '../../lab';
import { useLab } from '../../support/hooks';

/** A certificate authority of its own, and a key with a certificate of it for one name. */
async function makeCertificate(dir: string, name: string, subject: string): Promise<{ ca: string; cert: string; key: string }> {
  const files = { ca: join(dir, `${name}-ca.pem`), cert: join(dir, `${name}.pem`), key: join(dir, `${name}.key`) };
  await runOrThrow('sh', [
    '-ec',
    `
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=authority -keyout "$1/$2-ca.key" -out "$3"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=database -keyout "$5" -out "$1/$2.csr"
    printf "subjectAltName=%s" "$6" >"$1/$2.ext"
    openssl x509 -req -in "$1/$2.csr" -CA "$3" -CAkey "$1/$2-ca.key" -CAcreateserial -days 1 -extfile "$1/$2.ext" -out "$4"`,
    'sh',
    dir,
    name,
    files.ca,
    files.cert,
    files.key,
    subject,
  ]);
  return files;
}

describe('TLS to MariaDB', () => {
  const lab = useLab();
  let access: DatabaseAccess;
  let ca: string;
  let strangerCa: string;
  let elsewhere: DatabaseAccess;
  const migrate = (env: Record<string, string>, { host, port, user, password, database } = access): Promise<RunResult> =>
    run(process.execPath, [join(projectDir, 'dist', 'main.js'), 'migrate', 'up'], {
      env: {
        PATH: process.env['PATH'],
        ORION_DB_HOST: host,
        ORION_DB_PORT: String(port),
        ORION_DB_USER: user,
        ORION_DB_PASSWORD: password,
        ORION_DB_NAME: database,
        ...env,
      },
      timeoutMs: 30_000,
    });

  beforeAll(async () => {
    // Names and no addresses: the driver checks a certificate against the name that it connects to.
    const start = async (name: string): Promise<[string, DatabaseAccess]> => {
      const made = await makeCertificate(lab.dir, name, `DNS:${name}`);
      const server = await startMariaDb(lab, {
        args: [`--ssl-cert=${made.cert}`, `--ssl-key=${made.key}`, '--require-secure-transport=ON'],
      });
      return [made.ca, { ...(await server.createDatabase()), host: 'localhost' }];
    };
    [ca, access] = await start('localhost');
    [strangerCa, elsewhere] = await start('elsewhere');
  }, 60_000);

  it('encrypts every connection of the pool', async () => {
    const db = createDatabase({ ...access, poolSize: 2, tlsCa: readFileSync(ca, 'utf8') });
    const [rows] = (await db.raw("SHOW SESSION STATUS LIKE 'Ssl_version'")) as [{ Value: string }[]];
    expect(rows[0]?.Value).toMatch(/^TLSv1\.[23]$/);
    await db.destroy();
  });

  it('reaches a server that requires it, by ORION_DB_TLS_CA_FILE', async () => {
    expect(await migrate({ ORION_DB_TLS_CA_FILE: ca })).toMatchObject({ code: 0 });
    expect(await migrate({})).toMatchObject({ code: 1 });
  }, 60_000);

  it('speaks to no server with a certificate of another authority, or for another name', async () => {
    expect(await migrate({ ORION_DB_TLS_CA_FILE: strangerCa })).toMatchObject({ code: 1, stderr: expect.stringMatching(/certificate/i) });
    expect(await migrate({ ORION_DB_TLS_CA_FILE: strangerCa }, elsewhere)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("does not match certificate's altnames"),
    });
  }, 60_000);

  it('wants a name to check, and a file that is there', async () => {
    expect(await migrate({ ORION_DB_TLS_CA_FILE: ca, ORION_DB_HOST: '127.0.0.1' })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('ORION_DB_HOST: must be a name'),
    });
    expect(await migrate({ ORION_DB_TLS_CA_FILE: '/nowhere' })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('ORION_DB_TLS_CA_FILE: cannot be read'),
    });
  }, 30_000);
});
