import type { Tx } from '../db/transaction';
import { zip } from '../lib/zip';
import { actorOf } from '../modules/accounts';
import { type NewEvent, recordEvents } from '../modules/audit';
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
  const ofRent = new Map(rentIds.map((rentId): [number, Reserved[]] => [rentId, []]));
  reserved.forEach((each) => ofRent.get(each.lease.rentId)?.push(each));
  return [...ofRent].map(([rentId, its]) => ({ rentId, reserved: its, replayed: false }));
}

async function leaseEach(tx: Tx, { settings: { checkpoints, claimSeconds } }: FlowContext, pairs: Pair[]): Promise<Reserved[]> {
  const leased = zip(pairs, await insertLeases(tx, pairs.map(toLease)));
  await occupyNodes(tx, pairs.map(({ node }) => node.id));
  if (checkpoints) {
    await insertCheckpoints(tx, leased.map(([{ request }, lease]) => ({ leaseId: lease.id, enabled: request.checkpoint })), checkpoints.intervalSeconds);
  }
  await recordEvents(tx, leased.map(([{ request, node }, lease]) => toEvent(request, { leaseId: lease.id, nodeId: node.id })));
  const placements = await insertPlacements(tx, leased.map(([{ node }, lease]) => ({ leaseId: lease.id, nodeId: node.id, generation: 1, uid: node.nextUid })), claimSeconds);
  return zip(leased, placements).map(([[{ node }, lease], placement]) => ({ placement, lease, node }));
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

const toEvent = ({ user, requestedBy, durationSeconds }: SecretRequest, where: { leaseId: number; nodeId: number }): NewEvent => ({
  type: 'lease.requested',
  actor: actorOf(requestedBy),
  ...where,
  userId: user.id,
  data: { duration_seconds: durationSeconds },
});
