import { type EventRecord, groupBy, type Invariant, violationOf } from '../evidence';

const broken = violationOf('I6');

const AWAY = new Set(['node.dead', 'node.registered', 'node.quarantined', 'node.approved']);

/** Between a node's absence and the next placement on it, or its being free for one, lies a verified wipe. */
export const backMeansWiped: Invariant = ({ tables: { events, nodes, placements } }) => {
  const turns = events.filter(({ type, nodeId }) => nodeId !== null && (AWAY.has(type) || type === 'node.wiped'));
  const ofNode = groupBy(
    turns.sort((a, b) => a.id - b.id),
    ({ nodeId }) => nodeId ?? 0,
  );
  const free = nodes
    .filter(({ leasable }) => leasable)
    .flatMap(({ id }) => {
      const latest = ofNode.get(id)?.at(-1);
      return latest && AWAY.has(latest.type) ? [broken(`node ${id}`, `is free after ${latest.type} without a wipe in between`)] : [];
    });
  const leased = [...groupBy(placements, ({ nodeId }) => nodeId)].flatMap(([nodeId, those]) => {
    const story = ofNode.get(nodeId) ?? [];
    let next = 0;
    let last: EventRecord | undefined;
    return [...those]
      .sort((a, b) => a.createdAt - b.createdAt || a.id - b.id)
      .flatMap(({ id, createdAt }) => {
        for (let event = story[next]; event && event.at < createdAt; event = story[next]) {
          last = event;
          next += 1;
        }
        return last && AWAY.has(last.type)
          ? [broken(`node ${nodeId}`, `placement ${id} was made after ${last.type} without a wipe in between`)]
          : [];
      });
  });
  return [...leased, ...free];
};
