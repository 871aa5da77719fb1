import type { Node } from '../../modules/nodes';
import { presentNode, presentNodeForAdmin } from './presenter';
import { sentEvent } from './sent-events';

/** Changed nodes in their present state, serialised once for all watchers that may see the same. */
export interface News {
  forAdmins(): Buffer;
  /** Returns `node` events for nodes that are free or this user's own, and `gone` events for the others. */
  forUser(userId: number): Buffer;
}

export interface Changes {
  nodes: readonly Node[];
  /** Ids of nodes that are no longer in the database. No user saw them before. */
  removed: readonly number[];
  /** User ids by lease id. */
  owners: ReadonlyMap<number, number>;
}

export function createNews({ nodes, removed, owners }: Changes): News {
  const ownerOf = ({ leaseId }: Node): number | undefined => (leaseId === null ? undefined : owners.get(leaseId));
  const concerned = new Set(nodes.map(ownerOf));
  const toUser = (userId: number | null): Buffer => {
    const tell = (node: Node): string => {
      const own = userId !== null && ownerOf(node) === userId;
      return node.leasable || own ? sentEvent('node', presentNode(node, own)) : sentEvent('gone', { id: node.id });
    };
    return Buffer.from(nodes.map(tell).join(''));
  };
  const toAdmins = once(() =>
    Buffer.from(
      [...nodes.map((node) => sentEvent('node', presentNodeForAdmin(node))), ...removed.map((id) => sentEvent('gone', { id }))].join(''),
    ),
  );
  const toOthers = once(() => toUser(null));
  return { forAdmins: toAdmins, forUser: (userId) => (concerned.has(userId) ? toUser(userId) : toOthers()) };
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
