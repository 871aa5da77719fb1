import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { transaction } from '../../../src/db/transaction';
import { fitOf, lockFreeNodes, type Requirements } from '../../../src/modules/nodes';
import { aNode } from '../../support/builders';
import { useTestDatabase } from '../../support/hooks';

interface Shape {
  cpus: number;
  memoryMb: number;
  labels: Record<string, string>;
  useBand: number;
  flapped: boolean;
}

const labels = fc.dictionary(fc.constantFrom('zone', 'gpu'), fc.constantFrom('a', 'b'), { maxKeys: 2 });
const shape: fc.Arbitrary<Shape> = fc.record({
  cpus: fc.integer({ min: 1, max: 6 }),
  memoryMb: fc.constantFrom(0, 1024, 4096),
  labels,
  useBand: fc.nat(3),
  flapped: fc.boolean(),
});
const wanted: fc.Arbitrary<Requirements> = fc.record({ cpus: fc.integer({ min: 1, max: 4 }), memoryMb: fc.constantFrom(0, 1024), labels });

const satisfies = (node: Shape, { cpus, memoryMb, labels: named }: Requirements): boolean =>
  node.cpus >= cpus && node.memoryMb >= memoryMb && Object.entries(named).every(([name, value]) => node.labels[name] === value);

const database = useTestDatabase();

async function given(nodes: Shape[]): Promise<(Shape & { id: number })[]> {
  await database.reset();
  const placed: (Shape & { id: number })[] = [];
  for (const node of nodes) {
    const { id } = await aNode(database.db, { cpus: node.cpus, memoryMb: node.memoryMb, labels: node.labels });
    await database.db.raw('UPDATE nodes SET use_band = ?, last_death_at = IF(?, UTC_TIMESTAMP(3) - INTERVAL 1 MINUTE, NULL) WHERE id = ?', [
      node.useBand,
      node.flapped,
      id,
    ]);
    placed.push({ ...node, id });
  }
  return placed;
}

describe('choosing nodes', () => {
  it('R5: only nodes that satisfy: reliable ones first, then the tightest fit, then the least used; short ones never', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(shape, { maxLength: 8 }), wanted, fc.integer({ min: 1, max: 8 }), async (...[nodes, asked, limit]) => {
        const placed = await given(nodes);
        const model = placed
          .filter((node) => node.useBand < 3 && satisfies(node, asked))
          .sort((a, b) => Number(a.flapped) - Number(b.flapped) || fitOf(a) - fitOf(b) || a.useBand - b.useBand || a.id - b.id);
        const locked = await transaction(database.db, (tx) => lockFreeNodes(tx, { wanted: asked, limit, after: null }));
        expect(locked.map(({ id }) => id)).toEqual(model.slice(0, limit).map(({ id }) => id));
      }),
      { numRuns: 40 },
    );
  }, 60_000);

  it('R5: a label whose name JavaScript objects have anyway is no label', async () => {
    await given([{ cpus: 1, memoryMb: 0, labels: {}, useBand: 0, flapped: false }]);
    const search = { wanted: { cpus: 1, memoryMb: 0, labels: { constructor: 'Object' } }, limit: 1, after: null };
    expect(await transaction(database.db, (tx) => lockFreeNodes(tx, search))).toEqual([]);
  });
});
