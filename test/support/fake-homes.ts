import { type Archive, bytesOf, type Home, type Homes, type SaveOrder } from '../../src/modules/checkpoints';

export interface FakeHomes extends Homes {
  /** The stored archives, by lease. */
  stored: Map<number, Archive[]>;
  saves: { home: Home; order: SaveOrder }[];
  restores: { home: Home; leaseId: number; archives: Archive[] }[];
  /** Sets what happens before a home is saved: the function may wait, or throw. */
  onSave(behaviour: (order: SaveOrder, signal: AbortSignal) => Promise<void> | void): void;
  /** Sets what happens when a home is restored. */
  onRestore(behaviour: (attempt: number) => Promise<void> | void): void;
  /** From now on, no archive can be read to its end. */
  spoil(): void;
}

/**
 * Replaces sshd, tar, age and a folder in tests of the database. test/integration/checkpoints shows that the real ones keep the same
 * contract.
 */
export function createFakeHomes(): FakeHomes {
  const stored = new Map<number, Archive[]>();
  const saves: FakeHomes['saves'] = [];
  const restores: FakeHomes['restores'] = [];
  let saving: Parameters<FakeHomes['onSave']>[0] = () => undefined;
  let spoilt = false;
  let restoring: Parameters<FakeHomes['onRestore']>[0] = () => undefined;
  return {
    stored,
    saves,
    restores,
    onSave: (behaviour) => void (saving = behaviour),
    onRestore: (behaviour) => void (restoring = behaviour),
    spoil: () => void (spoilt = true),
    areReadable: () => Promise.resolve(!spoilt),
    save: async (home, order, signal) => {
      saves.push({ home, order });
      await saving(order, signal);
      const archive = { number: order.number, full: order.base === null, generation: order.generation, bytes: 1000 };
      stored.set(order.leaseId, [...(stored.get(order.leaseId) ?? []), archive]);
      return archive;
    },
    restore: async (home, { leaseId, archives }) => {
      restores.push({ home, leaseId, archives });
      await restoring(restores.length);
    },
    holds: (leaseId, archives) =>
      Promise.resolve(archives.every(({ number }) => stored.get(leaseId)?.some((kept) => kept.number === number))),
    tidy: (leaseId, { number, chain }) => {
      stored.set(
        leaseId,
        (stored.get(leaseId) ?? []).filter((each) => each.number > number || chain.some((kept) => kept.number === each.number)),
      );
      return Promise.resolve();
    },
    remove: (leaseId) => {
      const archives = stored.get(leaseId) ?? [];
      stored.delete(leaseId);
      return Promise.resolve({ files: archives.length, bytes: bytesOf(archives) });
    },
    listLeases: () => Promise.resolve([...stored.keys()]),
  };
}
