import type { Db } from '../../db/transaction';
import { fingerprintOf } from '../../lib/host-key';
import { createLoop, type Loop } from '../../lib/loop';
import { currentOrigin, type Origin } from '../../lib/origin';
import { recordEvent } from '../../modules/audit';
import { listCheckpoints } from '../../modules/checkpoints';
import { findCause, findLease, isRunning, listWhereabouts, type LeaseWhereabouts } from '../../modules/leases';
import { findNodes, LOST, type Node, probeSoon, targetOf } from '../../modules/nodes';
import type { LeaseDirectory, Whereabouts } from '../../ssh/gateway';
import { admittedKeys } from '../accounts/admitted-keys';
import type { FlowContext } from '../support/context';

/** How often the leases of all gateway sessions are read, in four queries. */
const LOOK_MS = 500;

interface Watcher {
  publicKey: string;
  listener: (at: Whereabouts) => void;
}

const OVER: Whereabouts = { state: 'over', why: 'is over' };
const SHUT: Whereabouts = { state: 'over', why: 'does not open to your key any more' };

/** Creates the gateway's view of leases. `start` begins to poll. Without a gateway session it sends no query. */
export function createLeaseDirectory(ctx: FlowContext): LeaseDirectory & { start(): void; stop(): Promise<void> } {
  const { db, logger, actor } = ctx;
  const watched = new Map<number, Set<Watcher>>();
  const look = async (ids: number[]): Promise<void> => {
    const found = await locate(db, ids);
    for (const id of ids) {
      const { at, keys } = found.get(id) ?? { at: OVER, keys: undefined };
      for (const { listener, publicKey } of watched.get(id) ?? []) {
        listener(at === OVER || keys?.includes(publicKey) ? at : SHUT);
      }
    }
  };
  const loop: Loop = createLoop({
    name: 'gateway-sessions',
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
      return usable ? ((await admittedKeys(db, [lease])).get(leaseId) ?? []) : [];
    },
    causeOf: (leaseId) => findCause(db, leaseId),
    watch: ({ leaseId, publicKey }, listener) => {
      const watchers = watched.get(leaseId) ?? new Set();
      const watcher = { publicKey, listener };
      watched.set(leaseId, watchers.add(watcher));
      loop.nudge();
      return () => {
        watchers.delete(watcher);
        if (watchers.size === 0) {
          watched.delete(leaseId);
        }
      };
    },
    suspect: (nodeId) => {
      probeSoon(db, nodeId).catch((error: unknown) => logger.warn('a node could not be marked for a probe', { nodeId, error }));
    },
    connected: ({ leaseId, address, publicKey }) =>
      recordEvent(db, { type: 'lease.connected', actor, leaseId, origin: from(address), data: { address, key: fingerprintOf(publicKey) } }),
    disconnected: ({ leaseId, address }, seconds) =>
      recordEvent(db, {
        type: 'lease.disconnected',
        actor,
        leaseId,
        origin: from(address),
        data: { address, seconds: Math.round(seconds) },
      }),
  };
}

const from = (address: string): Origin => ({ address, requestId: undefined, tokenId: undefined, trace: currentOrigin()?.trace });

/** Returns where these leases are and which keys open them. A lease without keys has a disabled owner. Leases that are over are missing. */
async function locate(db: Db, ids: number[]): Promise<Map<number, { at: Whereabouts; keys: string[] | undefined }>> {
  const leases = await listWhereabouts(db, ids);
  const keys = await admittedKeys(
    db,
    leases.map(({ leaseId: id, userId, publicKeys }) => ({ id, userId, publicKeys })),
  );
  const nodes = new Map((await findNodes(db, [...new Set(leases.flatMap(({ nodeId }) => nodeId ?? []))])).map((node) => [node.id, node]));
  const saved = new Map((await listCheckpoints(db, ids)).map((checkpoint) => [checkpoint.leaseId, checkpoint.ageSeconds]));
  return new Map(
    leases.map((lease) => {
      const at = whereaboutsOf(lease, nodes.get(lease.nodeId ?? 0), saved.get(lease.leaseId) ?? null);
      return [lease.leaseId, { at, keys: keys.get(lease.leaseId) }];
    }),
  );
}

function whereaboutsOf(lease: LeaseWhereabouts, node: Node | undefined, homeAgeSeconds: number | null): Whereabouts {
  const { endsInSeconds, generation, username, ahead } = lease;
  if (username === null || !node || LOST.includes(node.status)) {
    return { state: 'waiting', place: ahead === null ? null : ahead + 1, endsInSeconds };
  }
  return { state: 'present', generation, nodeName: node.hostname, username, target: targetOf(node), endsInSeconds, homeAgeSeconds };
}
