import type { Tx } from '../db/transaction';
import { actorOf } from '../modules/accounts';
import { recordEvents } from '../modules/audit';
import { insertCheckpoints } from '../modules/checkpoints';
import { insertLeases, insertPlacements, insertRents, type NewLease } from '../modules/leases';
import { type ClaimedNode, occupyNodes } from '../modules/nodes';
import type { FlowContext } from './context';
import { hashOf, type Reservation, type Reserved, type SecretRequest } from './rent-request';
import { reached } from './steps';

/** A request and the nodes that this transaction holds for it. */
export interface Granted {
  request: SecretRequest;
  nodes: ClaimedNode[];
}

/** One node for one lease. */
interface Pair {
  request: SecretRequest;
  node: ClaimedNode;
  rentId: number;
}

/** Writes down what was granted: at least one request. The reservations are in the same order. */
export async function leaseNodes(tx: Tx, ctx: FlowContext, granted: Granted[]): Promise<Reservation[]> {
  const rentIds = await insertRents(tx, granted.map(({ request }) => ({ userId: request.user.id, idempotencyKey: request.idempotencyKey, requestHash: hashOf(request) })));
  const pairs = granted.flatMap(({ request, nodes }, at) => nodes.map((node) => ({ request, node, rentId: rentIds[at] ?? 0 })));
  const reserved = await leaseEach(tx, ctx, pairs);
  reached('rent.commit');
  return rentIds.map((rentId) => ({ rentId, reserved: reserved.filter(({ lease }) => lease.rentId === rentId), replayed: false }));
}

async function leaseEach(tx: Tx, ctx: FlowContext, pairs: Pair[]): Promise<Reserved[]> {
  const leases = new Map((await insertLeases(tx, pairs.map(toLease))).map((lease) => [lease.occupiedNodeId, lease]));
  const leased = pairs.flatMap(({ request, node }) => {
    const lease = leases.get(node.id);
    return lease ? [{ request, node, lease }] : [];
  });
  await occupyNodes(tx, leased.map(({ node }) => node.id));
  if (ctx.settings.checkpoints) {
    await insertCheckpoints(tx, leased.map(({ request, lease }) => ({ leaseId: lease.id, enabled: request.checkpoint })), ctx.settings.checkpoints.intervalSeconds);
  }
  await recordEvents(
    tx,
    leased.map(({ request, node, lease }) => ({
      type: 'lease.requested',
      actor: actorOf(request.requestedBy),
      leaseId: lease.id,
      nodeId: node.id,
      userId: request.user.id,
      data: { duration_seconds: request.durationSeconds },
    })),
  );
  const { claimSeconds } = ctx.settings;
  const placements = await insertPlacements(tx, leased.map(({ node, lease }) => ({ leaseId: lease.id, nodeId: node.id, generation: 1, uid: node.nextUid, claimSeconds })));
  const placementOf = new Map(placements.map((placement) => [placement.leaseId, placement]));
  return leased.flatMap(({ lease, node }) => {
    const placement = placementOf.get(lease.id);
    return placement ? [{ placement, lease, node }] : [];
  });
}

const toLease = ({ request, node, rentId }: Pair): NewLease => ({
  rentId,
  userId: request.user.id,
  nodeId: node.id,
  durationSeconds: request.durationSeconds,
  requirements: request.requirements,
  publicKeys: request.publicKeys,
  passwordHash: request.passwordHash,
});
