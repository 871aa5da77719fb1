import type { Db } from '../db/transaction';
import { createLoop, type Loop } from '../lib/loop';
import { listUserKeys } from '../modules/accounts';
import { recordEvent } from '../modules/audit';
import { listCheckpoints } from '../modules/checkpoints';
import { findLease, isRunning, listWhereabouts, type LeaseWhereabouts } from '../modules/leases';
import { findNodes, LOST, type Node, probeSoon, targetOf } from '../modules/nodes';
import type { LeaseDirectory, Whereabouts } from '../ssh/gateway';
import type { FlowContext } from './context';

/** How often the visited leases are looked at, all of them in three queries. */
const LOOK_MS = 500;

type Listener = (at: Whereabouts) => void;

/** What the gateway knows of leases. `start` begins to look; without a visit it asks nothing. */
export function createLeaseDirectory(ctx: FlowContext): LeaseDirectory & { start(): void; stop(): Promise<void> } {
  const { db, logger, actor } = ctx;
  const watched = new Map<number, Set<Listener>>();
  const look = async (ids: number[]): Promise<void> => {
    const found = await locate(db, ids);
    for (const id of ids) {
      for (const listener of watched.get(id) ?? []) {
        listener(found.get(id) ?? { state: 'over' });
      }
    }
  };
  const loop: Loop = createLoop({
    name: 'visits',
    intervalMs: LOOK_MS,
    clock: ctx.clock,
    logger,
    pass: async () => {
      if (watched.size > 0) {
        await look([...watched.keys()]);
      }
      return 'done';
    },
  });
  return {
    start: () => loop.start(),
    stop: () => loop.stop(),
    keysOf: async (leaseId) => {
      const lease = await findLease(db, leaseId);
      const usable = lease !== undefined && isRunning(lease.state) && lease.remainingSeconds > 0;
      const registered = await listUserKeys(db, lease?.userId ?? 0);
      return usable ? [...lease.publicKeys, ...registered.map(({ publicKey }) => publicKey)] : [];
    },
    watch: (leaseId, listener) => {
      const listeners = watched.get(leaseId) ?? new Set();
      watched.set(leaseId, listeners.add(listener));
      loop.nudge();
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0) {
          watched.delete(leaseId);
        }
      };
    },
    suspect: (nodeId) => {
      probeSoon(db, nodeId).catch((error: unknown) => logger.warn('a node could not be marked for a probe', { nodeId, error }));
    },
    connected: ({ leaseId, address, keyFingerprint }) => recordEvent(db, { type: 'lease.connected', actor, leaseId, data: { address, key: keyFingerprint } }),
    disconnected: ({ leaseId, address }, seconds) => recordEvent(db, { type: 'lease.disconnected', actor, leaseId, data: { address, seconds: Math.round(seconds) } }),
  };
}

/** Where these leases are; none for those that are over. */
async function locate(db: Db, ids: number[]): Promise<Map<number, Whereabouts>> {
  const leases = await listWhereabouts(db, ids);
  const nodes = new Map((await findNodes(db, [...new Set(leases.flatMap(({ nodeId }) => nodeId ?? []))])).map((node) => [node.id, node]));
  const saved = new Map((await listCheckpoints(db, ids)).map((checkpoint) => [checkpoint.leaseId, checkpoint.ageSeconds]));
  return new Map(leases.map((lease) => [lease.leaseId, whereaboutsOf(lease, nodes.get(lease.nodeId ?? 0), saved.get(lease.leaseId) ?? null)]));
}

function whereaboutsOf(lease: LeaseWhereabouts, node: Node | undefined, homeAgeSeconds: number | null): Whereabouts {
  const { endsInSeconds, generation, username, ahead } = lease;
  if (username === null || !node || LOST.includes(node.status)) {
    return { state: 'waiting', place: ahead === null ? null : ahead + 1, endsInSeconds };
  }
  return { state: 'present', generation, nodeName: node.hostname, username, target: targetOf(node), endsInSeconds, homeAgeSeconds };
}
