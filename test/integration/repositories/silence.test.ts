import { beforeEach, describe, expect, it } from '@jest/globals';
import { transaction } from '../../../src/db/transaction';
import { type Round, watchFleet } from '../../../src/flows/migration/watch-fleet';
import { suspectSilentNodes } from '../../../src/modules/nodes';
import { severalNodes } from '../../support/builders';
import { createTestContext } from '../../support/context';
import { age, rows } from '../../support/database';
import { createFakeProvisioner } from '../../support/fake-provisioner';
import { useTestDatabase } from '../../support/hooks';

const database = useTestDatabase({ resetEach: true });
beforeEach(() =>
  age(database.db, 'UPDATE control_plane SET judged_since = UTC_TIMESTAMP(3) - INTERVAL 1 HOUR, last_tick_at = UTC_TIMESTAMP(3)'),
);

/** Nodes of which these (by their place in the list) have not called for two minutes, nor been logged in to. */
async function aFleet(size: number, silent: number[]): Promise<number[]> {
  const ids = (await severalNodes(database.db, size)).map(({ id }) => id);
  const quiet = silent.map((at) => ids[at] ?? 0);
  await age(database.db, `UPDATE nodes SET logged_in_at = UTC_TIMESTAMP(3) - INTERVAL 10 MINUTE WHERE id IN (${quiet.join(',')})`);
  await age(
    database.db,
    `UPDATE heartbeats SET last_heartbeat_at = last_heartbeat_at - INTERVAL 2 MINUTE, silent_at = UTC_TIMESTAMP(3) - INTERVAL 1 MINUTE WHERE node_id IN (${quiet.join(',')})`,
  );
  return ids;
}
const look = (search: { after: number; span: number; limit: number }): ReturnType<typeof suspectSilentNodes> =>
  transaction(database.db, (tx) => suspectSilentNodes(tx, search));
const suspects = async (): Promise<number[]> =>
  (await rows<{ id: number }>(database.db, "SELECT id FROM nodes WHERE status = 'suspect' ORDER BY id")).map(({ id }) => id);

describe('silent agents', () => {
  it('R20: are found a stretch of the fleet at a time, each once, and the next round begins at the first', async () => {
    const ids = await aFleet(5, [0, 1, 4]);
    const at = (...places: number[]): number[] => places.map((place) => ids[place] ?? 0);
    expect(await look({ after: 0, span: 2, limit: 10 })).toEqual({ suspected: at(0, 1), next: ids[1] });
    expect(await look({ after: ids[1] ?? 0, span: 2, limit: 10 })).toEqual({ suspected: [], next: ids[3] });
    expect(await look({ after: ids[3] ?? 0, span: 2, limit: 10 })).toEqual({ suspected: at(4), next: 0 });
    expect(await look({ after: 0, span: 10, limit: 10 })).toEqual({ suspected: [], next: 0 });
    expect(await suspects()).toEqual(at(0, 1, 4));
  });

  it('R20: of more than one pass takes, the others come with the next', async () => {
    const ids = await aFleet(4, [0, 1, 2, 3]);
    expect(await look({ after: 0, span: 10, limit: 3 })).toEqual({ suspected: ids.slice(0, 3), next: ids[2] });
    expect(await look({ after: ids[2] ?? 0, span: 10, limit: 3 })).toEqual({ suspected: ids.slice(3), next: 0 });
  });

  it('R20: are found by a scheduler that is anywhere on its round', async () => {
    const ids = await aFleet(3, [1]);
    const round: Round = { after: ids[2] ?? 0 };
    const ctx = createTestContext(database.db, createFakeProvisioner());
    await watchFleet(ctx, round);
    expect([await suspects(), round]).toEqual([[], { after: 0 }]);
    await watchFleet(ctx, round);
    expect([await suspects(), round]).toEqual([[ids[1]], { after: 0 }]);
  });
});
