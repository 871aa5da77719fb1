import { randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { inside } from '../../e2e/support/inside';
import { eventually, generateSshKeyPair } from '../../lab';
import { asRoot, type MariaDbAddress } from '../../lab/mariadb';
import type { Lease } from '../../../src/contract';
import { createApiClient, expectStatus } from '../../support/api-client';
import { useFirstWorker, useFleet, useForAll, useSystem, useTenant } from '../../support/hooks';
import { createTenant, type Tenant } from '../../support/tenant';

const AUTHORIZED = '/var/lib/orion/mgmt/.ssh/authorized_keys';
const NEW_PASSWORD = 'the "new" pass\\word';

/** The steps of docs/operations.md for three secrets at once, each rolled before the next, while somebody has a lease. */
describe("rotating the database's password, the key of the access tokens and the SSH key", () => {
  const system = useSystem({ apis: 1, schedulers: 1, ownDatabase: true });
  const worker = useFirstWorker(useFleet(system, 1));
  const ada = useTenant(system, 'ada');
  let lease: Lease;
  let oldKey: string;
  const newKey = useForAll(() => generateSshKeyPair(system.lab.dir, 'next'));
  const newJwtKey = randomBytes(32).toString('hex');

  beforeAll(async () => {
    lease = await ada.rentOne();
    oldKey = blobOf(await inside(worker, `cat ${AUTHORIZED}`));
  }, 300_000);

  const blobOf = (line: string): string => /AAAA\S+/.exec(line)?.[0] ?? '';
  const asDatabaseRoot = (sql: string, passwords: string[]): Promise<unknown> =>
    asRoot(system.mariadb as MariaDbAddress, (connection) => connection.query(sql, [system.access.user, ...passwords]));
  /** On the same port: the agent knows no other. */
  const roll = async (env: Record<string, string>): Promise<void> => {
    const port = Number(new URL(ada.client.url).port);
    await Promise.all([...system.apis, ...system.schedulers].map((replica) => replica.stop(60_000)));
    await Promise.all([system.startApi({ port, env }), system.startScheduler(env)]);
  };
  const untilAdmitted = (...keys: string[]): Promise<unknown> =>
    eventually(
      async () => {
        const found = (await inside(worker, `cat ${AUTHORIZED}`)).match(/AAAA\S+/g) ?? [];
        return found.toSorted().join() === keys.toSorted().join();
      },
      { what: `the node admits ${keys.length} keys`, timeoutMs: 60_000, everyMs: 200 },
    );
  const isUntouched = async (tenant: Tenant): Promise<void> => {
    expect(await tenant.lease(lease.id)).toMatchObject({ state: 'active', generation: 1, ends_at: lease.ends_at });
    expect((await tenant.login(lease, 'true')).code).toBe(0);
  };

  it('R44: first the old ones and the new ones are good, then the new ones are used, then the old ones are good no more; nobody notices', async () => {
    const { env } = system;
    await asDatabaseRoot(
      "ALTER USER ?@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD(?) OR mysql_native_password USING PASSWORD(?)",
      [system.access.password, NEW_PASSWORD],
    );
    await roll({ ORION_JWT_EXTRA_KEYS: newJwtKey, ORION_SSH_EXTRA_PUBLIC_KEYS: newKey.publicKey });
    await untilAdmitted(oldKey, blobOf(newKey.publicKey));
    await isUntouched(ada);

    const next = { ORION_DB_PASSWORD: NEW_PASSWORD, ORION_JWT_KEY: newJwtKey, ORION_SSH_KEY_FILE: newKey.keyFile };
    await roll({ ...next, ORION_JWT_EXTRA_KEYS: env['ORION_JWT_KEY'] ?? '', ORION_SSH_EXTRA_PUBLIC_KEYS: `ssh-ed25519 ${oldKey}` });
    await isUntouched(ada);

    await asDatabaseRoot("ALTER USER ?@'%' IDENTIFIED BY ?", [NEW_PASSWORD]);
    await roll(next);
    await untilAdmitted(blobOf(newKey.publicKey));
    expect((await ada.client.get('/api/me')).status).toBe(401);
    const session = await createApiClient(ada.client.url).post<{ token: string }>('/api/login', {
      username: 'ada',
      password: 'a password of a tenant',
    });
    const again = createTenant(ada.userId, createApiClient(ada.client.url, expectStatus(session, 200).token), ada);
    await isUntouched(again);
    await again.release(lease.id);
    await again.untilLease(lease.id, 'is wiped, with the new key', ({ state }) => state === 'ended', 120_000);
  }, 400_000);
});
