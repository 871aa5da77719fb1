import { beforeAll, describe, expect, it } from '@jest/globals';
import mysql from 'mysql2/promise';
import { ROLE_GRANTS } from '../../src/flows/accounts/grant-roles';
import { sshExec } from '../lab';
import { expectStatus } from '../support/api-client';
import { throughGateway } from '../support/gateway-client';
import { useFleet, useGateway, useSystem, useTenant } from '../support/hooks';

/** Refused by the server: this user may not. */
const DENIED = /denied/;

describe('each role with its own database user', () => {
  const system = useSystem({ apis: 1, schedulers: 1, gateway: true, ownDatabase: true, roleUsers: true });
  const gateway = useGateway(system);
  const fleet = useFleet(system, 3);
  const ada = useTenant(system);
  let password: string;
  const as = async (user: string, statement: string): Promise<unknown> => {
    const { host, port, database } = system.access;
    const connection = await mysql.createConnection({ host, port, database, user, password });
    try {
      return await connection.query(statement);
    } finally {
      await connection.end();
    }
  };

  beforeAll(() => {
    password = system.rolePassword ?? '';
  });

  it('plays the life of a lease: rented, logged in to, extended, moved, released, wiped', async () => {
    expectStatus(await ada.client.post('/api/keys', { name: 'laptop', public_key: ada.publicKey }), 201);
    const lease = await ada.rentOne();
    expect((await ada.login(lease, 'id -un')).code).toBe(0);
    expect((await sshExec(throughGateway(ada, lease, gateway), 'id -un')).code).toBe(0);
    await ada.extend(lease.id, 600);
    await fleet.workers.find(({ name }) => name === lease.node?.hostname)?.kill();
    await ada.untilLease(lease.id, 'it has moved', ({ state, generation }) => state === 'active' && generation === 2, 60_000);
    expect((await sshExec(throughGateway(ada, lease, gateway), 'id -un')).code).toBe(0);
    await ada.release(lease.id);
    await system.untilFree(2, 60_000);

    const [node] = (await system.nodes()).filter(({ status }) => status === 'alive');
    expectStatus(await system.admin.post(`/api/nodes/${node?.id ?? 0}/drain`, { move: true }), 200);
    expectStatus(await system.admin.post(`/api/nodes/${node?.id ?? 0}/undrain`, {}), 200);
    expectStatus(await ada.client.post('/api/logout', {}), 200, 204);
  }, 180_000);

  it('met no refusal of the database on the way', () => {
    for (const replica of [...system.apis, ...system.schedulers, gateway.replica]) {
      expect([
        replica.role,
        replica
          .log()
          .split('\n')
          .filter((line) => DENIED.test(line)),
      ]).toEqual([replica.role, []]);
    }
  });

  it.each(Object.keys(ROLE_GRANTS))('%s may not change the schema, grant, read files, or touch what was recorded', async (user) => {
    const deleted = user === 'orion_scheduler' ? [] : ['DELETE FROM events', 'DELETE FROM leases'];
    for (const statement of [
      ...deleted,
      'CREATE TABLE mine (id INT)',
      'ALTER TABLE nodes ADD COLUMN mine INT',
      'DROP TABLE events',
      'TRUNCATE TABLE events',
      "GRANT SELECT ON nodes TO orion_gateway@'%'",
      "SELECT LOAD_FILE('/etc/passwd') INTO OUTFILE '/tmp/orion-outfile'",
      "UPDATE events SET actor = 'nobody'",
      'SELECT * FROM mysql.user',
      'DELETE FROM users',
    ]) {
      await expect(as(user, statement)).rejects.toThrow(DENIED);
    }
  });

  it('shows the passwords of people to the API alone', async () => {
    await expect(as('orion_api', 'SELECT password_hash FROM users')).resolves.toBeDefined();
    for (const user of ['orion_scheduler', 'orion_gateway', 'orion_autoscaler']) {
      await expect(as(user, 'SELECT password_hash FROM users')).rejects.toThrow(DENIED);
    }
  });

  it('knows every table of the schema: each is written by some role, or kept by migrations', async () => {
    const written = new Set(Object.values(ROLE_GRANTS).flatMap(({ writes }) => Object.keys(writes)));
    const tables = (
      await system.sql<{ name: string }>('SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()')
    ).map(({ name }) => name);
    expect(tables.filter((name) => !written.has(name) && !/migration|schema_lock/.test(name))).toEqual([]);
  });

  it('gives no user who is missing rights, or an account without a password', async () => {
    await expect(as('orion_migrate', "GRANT SELECT ON nodes TO nobody@'%'")).rejects.toThrow();
  });
});
