import { groupBy, type Invariant, violationOf } from '../evidence';

const broken = violationOf('I2');
const BLOCK = 64;

/**
 * Two accounts of the fleet never share a uid: a number belongs to the one node whose block it is in. Numbers that an older release gave
 * are in no node's block.
 */
export const uidsOfTheFleet: Invariant = ({ tables: { placements, uidBlocks = [] } }) => {
  const ownerOf = new Map(uidBlocks.flatMap(({ first, nodeId }) => (nodeId === null ? [] : [[first, nodeId] as const])));
  const blockOf = (uid: number): number => uid - (uid % BLOCK);
  const given = placements.filter(({ uid }) => ownerOf.has(blockOf(uid)));
  const strays = given.filter(({ uid, nodeId }) => ownerOf.get(blockOf(uid)) !== nodeId);
  const shared = [...groupBy(given, ({ uid }) => uid)].filter(([, those]) => new Set(those.map(({ nodeId }) => nodeId)).size > 1);
  return [
    ...strays.map(({ id, uid, nodeId }) =>
      broken(`placement ${id}`, `has uid ${uid} on node ${nodeId}, out of the block of node ${ownerOf.get(blockOf(uid))}`),
    ),
    ...shared.map(([uid, those]) => broken(`uid ${uid}`, `was given on nodes ${those.map(({ nodeId }) => nodeId).join(', ')}`)),
  ];
};
