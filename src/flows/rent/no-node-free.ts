import { OrionError } from '../../lib/errors';
import { findNextEnd } from '../../modules/leases';
import { couldEverSatisfy } from '../../modules/nodes';
import type { FlowContext } from '../support/context';
import type { RentRequest } from './rent-request';

/**
 * What the client is told when there is no node for it. Asked outside of the transaction of the rent: one that waits for a second
 * connection starves the pool.
 */
export async function noNodeFree(ctx: FlowContext, { requirements, count }: RentRequest): Promise<OrionError> {
  const [possible, { nextEndAt, retryAfterSeconds }] = await Promise.all([
    couldEverSatisfy(ctx.db, requirements, count),
    findNextEnd(ctx.db),
  ]);
  const why = possible
    ? 'All nodes that fit are in use.'
    : 'No enrolled machine, or not enough of them, offers what is asked for: ask for less, or enrol more.';
  const when = nextEndAt ? ` The next lease ends at ${nextEndAt.toISOString()}.` : '';
  return new OrionError('no_node_free', `${why}${when} Nothing was leased; try again later.`, {
    retryAfterSeconds,
    details: { next_lease_ends_at: nextEndAt?.toISOString() ?? null, could_be_satisfied: possible },
  });
}
