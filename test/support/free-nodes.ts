import { eventually } from '../lab';
import type { System } from './system';

const COLUMNS =
  'id, hostname, status, status_reason, probe_failures, drained, dirty, lease_id, wipe_failures, wiped_at, last_checked_at, probe_due_at, wipe_due_at';

/**
 * Waits until every node, or the given one, is free. The error contains the reasons: the state of the other nodes, their accounts, and
 * their last events.
 */
export async function untilNodesAreFree(
  { sql }: Pick<System, 'sql'>,
  { nodeId, timeoutMs }: { nodeId?: number | undefined; timeoutMs: number },
): Promise<void> {
  const [among, values] = nodeId === undefined ? ['1 = 1', []] : ['id = ?', [nodeId]];
  const free = async (): Promise<boolean> => {
    const others = await sql<{ id: number }>(`SELECT ${COLUMNS} FROM nodes WHERE NOT COALESCE(leasable, 0) AND ${among}`, values);
    const [first] = others;
    if (first) {
      const placements = await sql(
        'SELECT id, lease_id, generation, state, due_at FROM placements WHERE node_id = ? AND state <> "wiped"',
        [first.id],
      );
      const events = await sql('SELECT at, type, actor, data FROM events WHERE node_id = ? ORDER BY id DESC LIMIT 12', [first.id]);
      throw new Error(JSON.stringify({ now: new Date(), others, placements, events }));
    }
    return true;
  };
  await eventually(free, { what: nodeId === undefined ? 'every node is free' : `node ${nodeId} is free`, timeoutMs, everyMs: 100 });
}
