import { describe, expect, it } from '@jest/globals';
import { aLease, aNode } from '../../support/builders';
import { age, row } from '../../support/database';
import { useTestDatabase, useUser } from '../../support/hooks';

const database = useTestDatabase({ resetEach: true });
const user = useUser(database);

/** MariaDB's own number; the driver knows MySQL's names alone. */
const CONSTRAINT_FAILED = 4025;
const raw = (sql: string, bindings: (string | number)[] = []): Promise<unknown> => database.db.raw(sql, bindings);

describe('what the schema refuses by itself', () => {
  it('I1: a second lease on an occupied node', async () => {
    const { id, nodeId } = await aLease(database.db, { userId: user.id, nodeId: (await aNode(database.db)).id });
    const again = raw(
      `INSERT INTO leases (rent_id, user_id, state, occupied_node_id, requirements, public_keys, ends_at)
       SELECT rent_id, user_id, 'active', ?, '{}', '[]', UTC_TIMESTAMP(3) + INTERVAL 1 HOUR FROM leases WHERE id = ?`,
      [nodeId, id],
    );
    await expect(again).rejects.toMatchObject({ code: 'ER_DUP_ENTRY', message: expect.stringContaining('leases_occupied_node') });
    const free = await aNode(database.db);
    await expect(raw('UPDATE nodes SET lease_id = ? WHERE id = ?', [id, free.id])).rejects.toMatchObject({
      code: 'ER_DUP_ENTRY',
      message: expect.stringContaining('nodes_lease'),
    });
  });

  it('I2: a second current placement of a lease, and a generation used twice', async () => {
    const { id, nodeId } = await aLease(database.db, { userId: user.id, nodeId: (await aNode(database.db)).id });
    const place = (generation: number, current: number | 'NULL', state: string): Promise<unknown> =>
      raw(
        `INSERT INTO placements (lease_id, node_id, generation, current_lease_id, state, username, uid) VALUES (?, ?, ?, ${current}, ?, ?, ?)`,
        [id, nodeId, generation, state, `orn-g${generation}`, 90_000 + generation],
      );
    await expect(place(2, id, 'creating')).rejects.toMatchObject({
      code: 'ER_DUP_ENTRY',
      message: expect.stringContaining('placements_current'),
    });
    await expect(place(1, 'NULL', 'wiping')).rejects.toMatchObject({
      code: 'ER_DUP_ENTRY',
      message: expect.stringContaining('placements_generation'),
    });
    await expect(place(3, 'NULL', 'present')).rejects.toMatchObject({ errno: CONSTRAINT_FAILED });
    await expect(place(4, 'NULL', 'wiped')).resolves.toBeDefined();
  });

  it('I2: a uid used twice on a node', async () => {
    const node = await aNode(database.db);
    const { id } = await aLease(database.db, { userId: user.id, nodeId: node.id });
    const { uid } = await row<{ uid: number }>(database.db, 'SELECT uid FROM placements');
    const again = raw(
      "INSERT INTO placements (lease_id, node_id, generation, state, username, uid) VALUES (?, ?, 9, 'wiped', 'orn-again', ?)",
      [id, node.id, uid],
    );
    await expect(again).rejects.toMatchObject({ message: expect.stringContaining('placements_uid') });
  });

  it('I3: a key used twice by one user', async () => {
    const insert = (): Promise<unknown> =>
      raw("INSERT INTO rents (user_id, idempotency_key, request_hash) VALUES (?, 'k', 'h')", [user.id]);
    await insert();
    await expect(insert()).rejects.toMatchObject({ code: 'ER_DUP_ENTRY', message: expect.stringContaining('rents_idempotency') });
  });

  it('I4: an extension that goes backwards, a lease that ends before it begins, one that runs without a node', async () => {
    const { id } = await aLease(database.db, { userId: user.id, nodeId: (await aNode(database.db)).id });
    const backwards = raw(
      'INSERT INTO extensions (lease_id, ends_before, ends_after, extended_by) SELECT id, ends_at, ends_at, 1 FROM leases WHERE id = ?',
      [id],
    );
    await expect(backwards).rejects.toMatchObject({ errno: CONSTRAINT_FAILED });
    await expect(raw('UPDATE leases SET ends_at = created_at WHERE id = ?', [id])).rejects.toMatchObject({ errno: CONSTRAINT_FAILED });
    await expect(raw('UPDATE leases SET occupied_node_id = NULL WHERE id = ?', [id])).rejects.toMatchObject({ errno: CONSTRAINT_FAILED });
  });

  it('R1: a join token used more often than it may be', async () => {
    await raw(
      "INSERT INTO join_tokens (name, token_hash, max_uses, labels, expires_at, created_by) VALUES ('t', 'h', 1, '{}', UTC_TIMESTAMP(3), ?)",
      [user.id],
    );
    await expect(raw('UPDATE join_tokens SET uses = 2')).rejects.toMatchObject({ errno: CONSTRAINT_FAILED });
  });

  it.each([
    ['alive', 0, 0, 1],
    ['alive', 1, 0, 0],
    ['alive', 0, 1, 0],
    ['suspect', 0, 0, 0],
    ['unknown', 0, 0, 0],
    ['dead', 0, 0, 0],
    ['quarantined', 0, 0, 0],
    ['pending', 0, 0, 0],
  ])('I5: leasable is computed: %s, drained %i, dirty %i gives %i', async (status, drained, dirty, leasable) => {
    const { id } = await aNode(database.db);
    await age(database.db, 'UPDATE nodes SET status = ?, drained = ?, dirty = ? WHERE id = ?', [status, drained, dirty, id]);
    expect(await row(database.db, 'SELECT leasable FROM nodes WHERE id = ?', [id])).toEqual({ leasable });
  });
});
