import { type Id, keepInsertId, keptId, LAST_INSERT_ID } from '../../db/sql';
import type { Batch, Transaction } from '../../db/transaction';
import { causeOf } from '../../lib/origin';
import { zip } from '../../lib/zip';
import { actorOf, noteReservations } from '../../modules/accounts';
import { type NewEvent, recordEvents } from '../../modules/audit';
import { insertCheckpoints } from '../../modules/checkpoints';
import {
  type ClaimedPlacement,
  insertLeases,
  insertPlacements,
  insertRents,
  type Lease,
  type NewLease,
  type NewPlacement,
} from '../../modules/leases';
import { type ClaimedNode, occupyNodes } from '../../modules/nodes';
import type { FlowContext } from '../support/context';
import { hashOf, type Reservation, type Reserved, type SecretRequest } from './rent-request';
import { failpoint } from '../support/failpoints';

/** A request and the nodes that this transaction holds for it. */
export interface Granted {
  request: SecretRequest;
  nodes: ClaimedNode[];
}

export interface ToLease {
  granted: Granted[];
  /** The transaction has nothing else to do: it may be committed with these rows. */
  isLast?: boolean;
}

/** One node for one lease. */
interface Pair {
  request: SecretRequest;
  node: ClaimedNode;
  rentId: Id;
}

/** The rows of these rents, in the order of the requests and of their nodes. */
interface Written {
  rentIds: number[];
  leases: Lease[];
  placements: ClaimedPlacement[];
}

/** Writes at least one granted request, with its leases and placements. The reservations are in the order of the requests. */
export async function leaseNodes(tx: Transaction, ctx: FlowContext, { granted, isLast = false }: ToLease): Promise<Reservation[]> {
  const nodes = granted.flatMap((each) => each.nodes);
  const { rentIds, leases, placements } = await (nodes.length === 1 ? writeOne(tx, ctx, { granted, isLast }) : writeMany(tx, ctx, granted));
  if (!tx.isCommitted) {
    failpoint('rent.commit');
  }
  const ofRent = new Map(rentIds.map((rentId): [number, Reserved[]] => [rentId, []]));
  zip(nodes, zip(leases, placements)).forEach(([node, [lease, placement]]) => ofRent.get(lease.rentId)?.push({ placement, lease, node }));
  return [...ofRent].map(([rentId, reserved]) => ({ rentId, reserved, replayed: false }));
}

/** Writes a lone lease in one round trip: the server knows the ids that the next statements need. COMMIT travels along when it `isLast`. */
async function writeOne(tx: Transaction, ctx: FlowContext, { granted, isLast = false }: ToLease): Promise<Written> {
  const pairs = pairsOf(granted, [LAST_INSERT_ID]);
  const [rentIds, leases, , placements] = await tx.batch(
    (batch) =>
      Promise.all([
        writeRents(batch, granted),
        insertLeases(batch, pairs.map(toLease)),
        keepInsertId(batch, 'lease'),
        writePlacements(batch, ctx, zip(pairs, [keptId('lease')])),
      ]),
    { commit: isLast },
  );
  return { rentIds, leases, placements };
}

/** Writes many leases: each table waits for the ids of the one before it. */
async function writeMany(tx: Transaction, ctx: FlowContext, granted: Granted[]): Promise<Written> {
  const rentIds = await tx.batch((batch) => writeRents(batch, granted));
  const pairs = pairsOf(granted, rentIds);
  const leases = await insertLeases(tx, pairs.map(toLease));
  const placements = await tx.batch((batch) =>
    writePlacements(
      batch,
      ctx,
      zip(
        pairs,
        leases.map(({ id }) => id),
      ),
    ),
  );
  return { rentIds, leases, placements };
}

const pairsOf = (granted: Granted[], rentIds: Id[]): Pair[] =>
  zip(granted, rentIds).flatMap(([{ request, nodes }, rentId]) => nodes.map((node) => ({ request, node, rentId })));

async function writeRents(batch: Batch, granted: Granted[]): Promise<number[]> {
  const rents = granted.map(({ request }) => ({
    userId: request.user.id,
    idempotencyKey: request.idempotencyKey,
    requestHash: hashOf(request),
  }));
  const [ids] = await Promise.all([insertRents(batch, rents), noteReservations(batch, [...new Set(rents.map(({ userId }) => userId))])]);
  return ids;
}

async function writePlacements(
  batch: Batch,
  { settings: { checkpoints, claimSeconds } }: FlowContext,
  leased: [Pair, Id][],
): Promise<ClaimedPlacement[]> {
  const [placements] = await Promise.all([
    insertPlacements(
      batch,
      leased.map(([pair, leaseId]) => toPlacement(pair, leaseId)),
      claimSeconds,
    ),
    occupyNodes(
      batch,
      leased.map(([{ node }]) => node.id),
    ),
    recordEvents(
      batch,
      leased.map(([{ request, node }, leaseId]) => toEvent(request, { leaseId, nodeId: node.id })),
    ),
    checkpoints &&
      insertCheckpoints(
        batch,
        leased.map(([{ request }, leaseId]) => ({ leaseId, enabled: request.checkpoint })),
        checkpoints.intervalSeconds,
      ),
  ]);
  return placements;
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

const toPlacement = ({ request: { origin }, node }: Pair, leaseId: Id): NewPlacement => ({
  leaseId,
  nodeId: node.id,
  generation: 1,
  uid: node.nextUid,
  cause: causeOf(origin),
});

const toEvent = ({ user, requestedBy, durationSeconds, origin }: SecretRequest, where: { leaseId: Id; nodeId: number }): NewEvent => ({
  type: 'lease.requested',
  actor: actorOf(requestedBy),
  ...where,
  userId: user.id,
  data: { duration_seconds: durationSeconds },
  origin,
});
