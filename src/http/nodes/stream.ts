import type { Response } from 'express';
import type { Knex } from 'knex';
import { selectOwnedLeases } from '../../modules/leases';
import { listNodes, type Node } from '../../modules/nodes';
import type { User } from '../../modules/accounts';
import type { Clock } from '../../lib/clock';
import type { NodeFeed } from './feed';
import { presentNode, presentNodeForAdmin } from './presenter';

const SNAPSHOT_LIMIT = 1_000;
const PING_MS = 15_000;

interface StreamDeps {
  db: Knex;
  clock: Clock;
  feed: NodeFeed;
  stopping: AbortSignal;
}

/**
 * R15: server-sent events about the fleet: a `snapshot`, then `node` for each change and `gone` for a node that the client may see no more. Resolves when the
 * client has gone, or the replica stops: clients connect again, to another one.
 */
export async function streamNodes({ db, clock, feed, stopping }: StreamDeps, res: Response, user: User): Promise<void> {
  const admin = user.role === 'admin';
  const closed = new AbortController();
  res.on('close', () => closed.abort());
  const over = AbortSignal.any([closed.signal, stopping]);
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', Connection: 'keep-alive', 'X-Accel-Buffering': 'no' });
  const send = (event: string, data: unknown): void => void res.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);

  const tell = async (changed: Node[]): Promise<void> => {
    const mine = admin ? new Set<number>() : await selectOwnedLeases(db, user.id, changed.flatMap(({ leaseId }) => (leaseId === null ? [] : [leaseId])));
    for (const node of changed) {
      const own = node.leaseId !== null && mine.has(node.leaseId);
      if (admin || node.leasable || own) {
        send('node', admin ? presentNodeForAdmin(node) : presentNode(node, own));
      } else {
        send('gone', { id: node.id });
      }
    }
  };

  const unwatch = feed.watch((changed) => void tell(changed).catch(() => res.end()));
  const nodes = await listNodes(db, { afterId: 0, limit: SNAPSHOT_LIMIT, ...(admin ? {} : { visibleToUserId: user.id }) });
  send('snapshot', { items: nodes.map((node) => (admin ? presentNodeForAdmin(node) : presentNode(node, !node.leasable))) });
  while (!over.aborted) {
    res.write(': ping\n\n');
    await clock.sleep(PING_MS, over);
  }
  unwatch();
  res.end();
}
