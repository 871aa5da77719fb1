/**
 * A writable file system of a node that no wipe and no verification reads. Data that a tenant wrote there stays, and other machines may see
 * it.
 */
export interface NotExamined {
  path: string;
  type: string;
}

/** Whether a node with such file systems may be leased. Operators decide. */
export type SharedStoragePolicy = 'allow' | 'refuse';

const MAX_LISTED = 50;

/**
 * Parses `type path` lines, as programs on nodes report them. Returns each path once, sorted by path. A node is not trusted: entries of
 * another form are dropped, and a long list is cut to `MAX_LISTED`.
 */
export function parseNotExamined(lines: readonly unknown[]): NotExamined[] {
  const found = lines
    .filter((line) => typeof line === 'string')
    .flatMap((line) => {
      const [, type, path] = /^([A-Za-z0-9._-]{1,64}) (\/.{0,500})$/s.exec(line) ?? [];
      return type === undefined || path === undefined ? [] : [{ path, type }];
    });
  const byPath = new Map(found.map((each) => [each.path, each]));
  return [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1)).slice(0, MAX_LISTED);
}

const formatNotExamined = (all: readonly NotExamined[]): string => all.map(({ path, type }) => `${path} (${type})`).join(', ');

export interface Storage {
  /** Type of the file system that contains the homes of accounts, if a wipe cannot read it; null: a wipe can. */
  homeType: string | null;
  notExamined: NotExamined[];
}

/** Returns why a node with such storage may not be leased; null: it may. Pure. */
export function reasonAgainst({ homeType, notExamined }: Storage, policy: SharedStoragePolicy): string | null {
  if (homeType !== null) {
    return `/home lies on a file system of type ${homeType}: homes of accounts there cannot be wiped; give the machine a local /home`;
  }
  return policy === 'refuse' && notExamined.length > 0
    ? `it has shared storage, which its policy refuses: ${formatNotExamined(notExamined)}`
    : null;
}
