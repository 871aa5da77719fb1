import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createDatabase } from '../../../src/db/connection';
import { createMigrator } from '../../../src/db/migrate';
import type { User } from '../../../src/modules/accounts';
import { aLease, aNode, aUser } from '../../support/builders';
import { age, count, migrationsDir, openTestDatabase, row, type TestDatabase } from '../../support/database';
import { sharedMariaDb } from '../../lab';

let database: TestDatabase;
let user: User;
beforeAll(async () => {
  database = await openTestDatabase();
}, 60_000);
afterAll(() => database.close());
beforeEach(async () => {
  await database.reset();
  user = await aUser(database.db);
});

/** MariaDB's own number; the driver knows MySQL's names alone. */
const CONSTRAINT_FAILED = 4025;
const raw = (sql: string, bindings: (string | number)[] = []): Promise<unknown> => database.db.raw(sql, bindings);

describe('what the schema refuses by itself', () => {
  it('I1: a second lease on an occupied node', async () => {
    const { id, nodeId } = await aLease(database.db, { userId: user.id, nodeId: (await aNode(database.db)).id });
    const again = raw(
      `INSERT INTO leases (rent_id, user_id, state, occupied_node_id, requirements, public_keys, ends_at)
       SELECT rent_id, user_id, 'active', ?, '{}', '[]', UTC_TIMESTAMP(3) + INTERVAL 1 HOUR FROM leases WHERE id = ?`, [nodeId, id]);
    await expect(again).rejects.toMatchObject({ code: 'ER_DUP_ENTRY', message: expect.stringContaining('leases_occupied_node') });
    const free = await aNode(database.db);
    await expect(raw('UPDATE nodes SET lease_id = ? WHERE id = ?', [id, free.id])).rejects.toMatchObject({ code: 'ER_DUP_ENTRY', message: expect.stringContaining('nodes_lease') });
  });

  it('I2: a second current placement of a lease, and a generation used twice', async () => {
    const { id, nodeId } = await aLease(database.db, { userId: user.id, nodeId: (await aNode(database.db)).id });
    const place = (generation: number, current: number | 'NULL', state: string): Promise<unknown> =>
      raw(`INSERT INTO placements (lease_id, node_id, generation, current_lease_id, state, username, uid) VALUES (?, ?, ?, ${current}, ?, ?, ?)`, [id, nodeId, generation, state, `orn-g${generation}`, 90_000 + generation]);
    await expect(place(2, id, 'creating')).rejects.toMatchObject({ code: 'ER_DUP_ENTRY', message: expect.stringContaining('placements_current') });
    await expect(place(1, 'NULL', 'wiping')).rejects.toMatchObject({ code: 'ER_DUP_ENTRY', message: expect.stringContaining('placements_generation') });
    await expect(place(3, 'NULL', 'present')).rejects.toMatchObject({ errno: CONSTRAINT_FAILED });
    await expect(place(4, 'NULL', 'wiped')).resolves.toBeDefined();
  });

  it('I2: a uid used twice on a node', async () => {
    const node = await aNode(database.db);
    const { id } = await aLease(database.db, { userId: user.id, nodeId: node.id });
    const { uid } = await row<{ uid: number }>(database.db, 'SELECT uid FROM placements');
    const again = raw("INSERT INTO placements (lease_id, node_id, generation, state, username, uid) VALUES (?, ?, 9, 'wiped', 'orn-again', ?)", [id, node.id, uid]);
    await expect(again).rejects.toMatchObject({ message: expect.stringContaining('placements_uid') });
  });

  it('I3: a key used twice by one user', async () => {
    const insert = (): Promise<unknown> => raw("INSERT INTO rents (user_id, idempotency_key, request_hash) VALUES (?, 'k', 'h')", [user.id]);
    await insert();
    await expect(insert()).rejects.toMatchObject({ code: 'ER_DUP_ENTRY', message: expect.stringContaining('rents_idempotency') });
  });

  it('I4: an extension that goes backwards, a lease that ends before it begins, one that runs without a node', async () => {
    const { id } = await aLease(database.db, { userId: user.id, nodeId: (await aNode(database.db)).id });
    const backwards = raw('INSERT INTO extensions (lease_id, ends_before, ends_after, extended_by) SELECT id, ends_at, ends_at, 1 FROM leases WHERE id = ?', [id]);
    await expect(backwards).rejects.toMatchObject({ errno: CONSTRAINT_FAILED });
    await expect(raw('UPDATE leases SET ends_at = created_at WHERE id = ?', [id])).rejects.toMatchObject({ errno: CONSTRAINT_FAILED });
    await expect(raw('UPDATE leases SET occupied_node_id = NULL WHERE id = ?', [id])).rejects.toMatchObject({ errno: CONSTRAINT_FAILED });
  });

  it('R1: a join token used more often than it may be', async () => {
    await raw("INSERT INTO join_tokens (name, token_hash, max_uses, labels, expires_at, created_by) VALUES ('t', 'h', 1, '{}', UTC_TIMESTAMP(3), ?)", [user.id]);
    await expect(raw('UPDATE join_tokens SET uses = 2')).rejects.toMatchObject({ errno: CONSTRAINT_FAILED });
  });

  it.each([
    ['alive', 0, 0, 1], ['alive', 1, 0, 0], ['alive', 0, 1, 0], ['suspect', 0, 0, 0], ['unknown', 0, 0, 0], ['dead', 0, 0, 0], ['quarantined', 0, 0, 0], ['pending', 0, 0, 0],
  ])('I5: leasable is computed: %s, drained %i, dirty %i gives %i', async (status, drained, dirty, leasable) => {
    const { id } = await aNode(database.db);
    await age(database.db, 'UPDATE nodes SET status = ?, drained = ?, dirty = ? WHERE id = ?', [status, drained, dirty, id]);
    expect(await row(database.db, 'SELECT leasable FROM nodes WHERE id = ?', [id])).toEqual({ leasable });
  });
});

describe('migrations', () => {
  it('R33: may take longer than the server lets a transaction say nothing, and hold their lock until they are done', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'orion-migrations-'));
    const access = await (await sharedMariaDb()).createDatabase();
    const [db, other] = [createDatabase({ ...access, poolSize: 2 }), createDatabase({ ...access, poolSize: 2 })];
    try {
      await writeFile(join(directory, '0001_slow.mjs'), "export const up = (knex) => knex.raw('DO SLEEP(17)');\nexport const down = () => undefined;\n");
      const names = await Promise.all([db, other].map((each) => createMigrator(each, directory).up()));
      expect(names.toSorted((a, b) => a.length - b.length)).toEqual([[], ['0001_slow.mjs']]);
    } finally {
      await Promise.all([db.destroy(), other.destroy(), rm(directory, { recursive: true })]);
    }
  }, 60_000);

  it('R33: go up, say where they are, come down, and go up again', async () => {
    const db = createDatabase({ ...(await (await sharedMariaDb()).createDatabase()), poolSize: 4 });
    const migrator = createMigrator(db, migrationsDir);
    const names = (await migrator.status()).pending;
    expect(names.length).toBeGreaterThan(0);
    expect(await migrator.up()).toEqual(names);
    expect(await migrator.up()).toEqual([]);
    expect(await migrator.status()).toEqual({ applied: names, pending: [] });
    expect((await migrator.down()).toSorted()).toEqual(names);
    expect(await count(db, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name NOT LIKE 'knex%'")).toBe(0);
    expect(await migrator.up()).toEqual(names);
    await db.destroy();
  }, 30_000);

  it('R33: are applied once when five replicas start at the same time', async () => {
    const access = await (await sharedMariaDb()).createDatabase();
    const pools = Array.from({ length: 5 }, () => createDatabase({ ...access, poolSize: 4 }));
    const applied = await Promise.all(pools.map((db) => createMigrator(db, migrationsDir).up()));
    expect(applied.filter((names) => names.length > 0)).toHaveLength(1);
    await Promise.all(pools.map((db) => db.destroy()));
  }, 30_000);
});
