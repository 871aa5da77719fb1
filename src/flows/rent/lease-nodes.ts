import { type Id, keepInsertId, keptId, LAST_INSERT_ID } from '../../db/sql';
import type { Tx } from '../../db/transaction';
import { zip } from '../../lib/zip';
import { actorOf, noteReservations } from '../../modules/accounts';
import { type NewEvent, recordEvents } from '../../modules/audit';
import { insertCheckpoints } from '../../modules/checkpoints';
import { insertLeases, insertPlacements, insertRents, type NewLease } from '../../modules/leases';
import { type ClaimedNode, occupyNodes } from '../../modules/nodes';
import type { FlowContext } from '../support/context';
import { hashOf, type Reservation, type Reserved, type SecretRequest } from './rent-request';
import { reached } from '../support/steps';

/** A request and the nodes that this transaction holds for it. */
export interface Granted {
  request: SecretRequest;
  nodes: ClaimedNode[];
}

export interface ToLease {
  granted: Granted[];
  /** Nothing else is asked of the transaction. */
  isLast?: boolean;
}

/** One node for one lease. */
interface Pair {
  request: SecretRequest;
  node: ClaimedNode;
  rentId: Id;
}

/**
 * Writes down what was granted: at least one request. The reservations are in the same order. Of one lease everything travels together, since the server
 * knows the ids that the next statement needs, and COMMIT with it when it `isLast`. Of more, each table waits
 * for the ids of the one before it.
 */
export async function leaseNodes(tx: Tx, ctx: FlowContext, { granted, isLast = false }: ToLease): Promise<Reservation[]> {
  const isOne = granted.length === 1 && granted[0]?.nodes.length === 1;
  const rents = noteRents(tx, granted);
  const ids = isOne ? [LAST_INSERT_ID] : await rents;
  const pairs = granted.flatMap(({ request, nodes }, at) => nodes.map((node) => ({ request, node, rentId: ids[at] ?? 0 })));
  const leases = leaseEach(tx, ctx, pairs);
  const commit = isOne && isLast ? tx.commit() : undefined;
  const [rentIds, reserved] = await Promise.all([rents, leases, commit]);
  if (!commit) {
    reached('rent.commit');
  }
  const ofRent = new Map(rentIds.map((rentId): [number, Reserved[]] => [rentId, []]));
  reserved.forEach((each) => ofRent.get(each.lease.rentId)?.push(each));
  return [...ofRent].map(([rentId, its]) => ({ rentId, reserved: its, replayed: false }));
}

async function noteRents(tx: Tx, granted: Granted[]): Promise<number[]> {
  const rents = granted.map(({ request }) => ({ userId: request.user.id, idempotencyKey: request.idempotencyKey, requestHash: hashOf(request) }));
  const [ids] = await Promise.all([insertRents(tx, rents), noteReservations(tx, [...new Set(rents.map(({ userId }) => userId))])]);
  return ids;
}

async function leaseEach(tx: Tx, { settings: { checkpoints, claimSeconds } }: FlowContext, pairs: Pair[]): Promise<Reserved[]> {
  const leases = insertLeases(tx, pairs.map(toLease));
  const keeping = pairs.length === 1 ? keepInsertId(tx, 'lease') : undefined;
  const ids = keeping ? [keptId('lease')] : (await leases).map(({ id }) => id);
  const leased = zip(pairs, ids);
  const [made, placements] = await Promise.all([
    leases,
    insertPlacements(tx, leased.map(([{ node }, leaseId]) => ({ leaseId, nodeId: node.id, generation: 1, uid: node.nextUid })), claimSeconds),
    occupyNodes(tx, pairs.map(({ node }) => node.id)),
    recordEvents(tx, leased.map(([{ request, node }, leaseId]) => toEvent(request, { leaseId, nodeId: node.id }))),
    checkpoints && insertCheckpoints(tx, leased.map(([{ request }, leaseId]) => ({ leaseId, enabled: request.checkpoint })), checkpoints.intervalSeconds),
    keeping,
  ]);
  return zip(pairs, zip(made, placements)).map(([{ node }, [lease, placement]]) => ({ placement, lease, node }));
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

const toEvent = ({ user, requestedBy, durationSeconds }: SecretRequest, where: { leaseId: Id; nodeId: number }): NewEvent => ({
  type: 'lease.requested',
  actor: actorOf(requestedBy),
  ...where,
  userId: user.id,
  data: { duration_seconds: durationSeconds },
});
