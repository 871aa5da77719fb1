import { describe, expect, it } from '@jest/globals';
import type { Moves } from '../db/moves';
import { LEASE_MOVES, PLACEMENT_MOVES } from './leases/moves';
import { NODE_MOVES } from './nodes/moves';

/** A row that does not exist. */
const NONE = '';
const TABLES: { table: string; moves: Moves; final: string[] }[] = [
  { table: 'leases', moves: LEASE_MOVES, final: ['ended', 'failed'] },
  { table: 'placements', moves: PLACEMENT_MOVES, final: ['wiped'] },
  { table: 'nodes', moves: NODE_MOVES, final: ['retired'] },
];

const arrowsOf = (moves: Moves): [from: string, to: string][] =>
  Object.values(moves).flatMap(({ from, to }) => (from.length === 0 ? [NONE] : from).map((state): [string, string] => [state, to ?? NONE]));

const statesOf = (moves: Moves): string[] => [...new Set(arrowsOf(moves).flat())].filter((state) => state !== NONE).sort();

/** All states that these arrows lead to from `starts`, themselves included. */
function reachable(arrows: [string, string][], starts: string[]): Set<string> {
  const seen = new Set(starts);
  for (let size = 0; size < seen.size;) {
    size = seen.size;
    arrows.filter(([from]) => seen.has(from)).forEach(([, to]) => seen.add(to));
  }
  return seen;
}

describe.each(TABLES)('the moves of $table', ({ moves, final }) => {
  it('lead to every state from the creation of the row', () => {
    const reached = reachable(arrowsOf(moves), [NONE]);
    expect(statesOf(moves).filter((state) => !reached.has(state))).toEqual([]);
  });

  it('lead from a final state only out of the table, and from every other state to a final one', () => {
    const arrows = arrowsOf(moves);
    expect(arrows.filter(([from, to]) => final.includes(from) && to !== NONE)).toEqual([]);
    const ends = reachable(
      arrows.map(([from, to]) => [to, from]),
      final,
    );
    expect(statesOf(moves).filter((state) => !ends.has(state))).toEqual([]);
  });
});
