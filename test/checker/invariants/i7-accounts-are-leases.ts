import { groupBy, type Invariant, violationOf } from '../evidence';

const broken = violationOf('I7');

/** How long after its lease an account may still be on a node that can be reached: a round of expiry and a wipe with a few retries. */
const GRACE_MS = 60_000;

/**
 * An account is on a node only for a lease that is current there; an active lease's account is there; and after the end it is gone soon.
 */
export const accountsAreLeases: Invariant = ({ tables: { leases, nodes, placements, now }, nodes: seen }) => {
  const leaseOf = new Map(leases.map((lease) => [lease.id, lease]));
  const nodeOf = new Map(nodes.map((node) => [node.id, node]));
  const notWiped = groupBy(
    placements.filter(({ state }) => state !== 'wiped'),
    ({ nodeId }) => nodeId,
  );
  const overdue = placements.flatMap(({ id, state, leaseId, nodeId }) => {
    const lease = leaseOf.get(leaseId);
    const reachable = nodeOf.get(nodeId)?.status === 'alive';
    return state !== 'wiped' && reachable && lease && now > lease.endsAt + GRACE_MS
      ? [broken(`placement ${id}`, `is ${state} ${Math.round((now - lease.endsAt) / 1000)} s after the end of lease ${leaseId}`)]
      : [];
  });
  const shown = (seen ?? []).flatMap(({ nodeId, accounts, strayUids }) => {
    const rightful = notWiped.get(nodeId) ?? [];
    const missing = rightful.filter(
      ({ state, leaseId, username }) =>
        state === 'present' && leaseOf.get(leaseId)?.state === 'active' && !accounts.some((account) => account.username === username),
    );
    return [
      ...accounts
        .filter(({ username, uid }) => !rightful.some((placement) => placement.username === username && placement.uid === uid))
        .map(({ username, uid }) => broken(`node ${nodeId}`, `has the account ${username} (${uid}) for no lease`)),
      ...missing.map(({ username, leaseId }) => broken(`node ${nodeId}`, `lacks the account ${username} of the active lease ${leaseId}`)),
      ...strayUids
        .filter((uid) => !rightful.some((placement) => placement.uid === uid))
        .map((uid) => broken(`node ${nodeId}`, `has something of uid ${uid} on it, which no lease has there`)),
    ];
  });
  return [...overdue, ...shown];
};
