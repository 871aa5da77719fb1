import type * as contract from '../../contract';
import * as calls from '../../contract/audit';
import { findNamedUser } from '../../flows/people/named-user';
import { listEvents, type RecordedEvent } from '../../modules/audit';
import type { ApiDeps } from '../deps';
import { nextCursor, type RouteMaker } from '../route';
import { addSealedLogRoutes } from './sealed';

/** The audit log, for admins. */
export function addAuditRoutes(routes: RouteMaker, { reads }: Pick<ApiDeps, 'reads'>): void {
  addSealedLogRoutes(routes, { reads });
  routes.on(calls.listEvents).answer(async ({ query: { type, actor, user, node, lease, from, to, cursor, limit } }) => {
    const events = await listEvents(reads, {
      type,
      actor,
      limit,
      userId: user === undefined ? undefined : (await findNamedUser(reads, user)).id,
      nodeId: node,
      leaseId: lease,
      from: dateOf(from),
      to: dateOf(to),
      beforeId: cursor === undefined ? undefined : Number(cursor),
    });
    return { status: 200, body: { items: events.map(presentEvent), next_cursor: nextCursor(events, limit) } };
  });
}

const dateOf = (text: string | undefined): Date | undefined => (text === undefined ? undefined : new Date(text));

const presentEvent = (event: RecordedEvent): contract.Event => ({
  id: event.id,
  at: event.at.toISOString(),
  type: event.type,
  outcome: event.outcome,
  actor: event.actor,
  user_id: event.userId,
  lease_id: event.leaseId,
  node_id: event.nodeId,
  address: event.address,
  request_id: event.requestId,
  token_id: event.tokenId,
  data: event.data,
});
