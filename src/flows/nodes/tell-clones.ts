import { type Tx, transaction } from '../../db/transaction';
import { OrionError } from '../../lib/errors';
import { fingerprintOf } from '../../lib/host-key';
import { hasEventLately, recordEvent } from '../../modules/audit';
import { findNodeByHostKey, lockNode, type Node, secondsUntilSilent, targetOf } from '../../modules/nodes';
import type { FindMark, MarkAnswer } from '../../ssh';
import type { FlowContext } from '../support/context';

export interface CloneContext extends FlowContext {
  findMark: FindMark;
}

/** The data of a registering machine that the check for clones needs. */
export interface Registrant {
  hostname: string;
  address: string;
  /** The source address of the request. */
  from: string;
  /** See lib/registration-mark. Null: the agent is of the previous release. */
  mark: string | null;
  hostKey: string;
  /** The node whose credential the machine shows. */
  known: Node | null;
}

/** The node whose row the machine requests, and the answer of the machine at that node's address. */
export interface Incumbent {
  nodeId: number;
  registeredAt: Date;
  answer: MarkAnswer;
}

/** Why a machine gets no row. */
export interface Refusal {
  nodeId: number;
  /** The machine shows the credential too, so it holds a copy of the agent's state. */
  copiedState: boolean;
  /**
   * Null: the node answers and is another machine. Otherwise the seconds after which the node's agent counts as silent, so that the machine
   * can be admitted.
   */
  waitSeconds: number | null;
}

/**
 * Checks whether the machine at the address of the claimed node is the one that registers. Call it outside of every transaction. It does
 * not contact a pending node, because only the machine itself gave that address. Undefined: the host key is new.
 */
export async function askIncumbent({ db, findMark }: CloneContext, { hostKey, known, mark }: Registrant): Promise<Incumbent | undefined> {
  const node = known ?? (await findNodeByHostKey(db, fingerprintOf(hostKey)));
  if (!node) {
    return undefined;
  }
  const isAsked = node.status !== 'pending' && node.status !== 'retired' && (known === null || mark !== null);
  const answer = isAsked ? await findMark(targetOf(node), mark) : 'no_answer';
  return { nodeId: node.id, registeredAt: node.registeredAt, answer };
}

/**
 * Decides whether to refuse a machine that shows the host key of the locked `node`, but not its credential.
 *
 * The machine gets the row if it is the machine at the node's address. It also gets the row if no machine answers there and the agent has
 * been silent for too long. Throws state_conflict if the row changed since `askIncumbent`.
 */
export async function refuseTakeover(tx: Tx, node: Node, incumbent: Incumbent | undefined): Promise<Refusal | null> {
  if (incumbent?.nodeId !== node.id || incumbent.registeredAt.getTime() !== node.registeredAt.getTime()) {
    throw new OrionError('state_conflict', 'A machine with this host key registered at the same moment. Try again.', {
      retryAfterSeconds: 1,
    });
  }
  if (incumbent.answer === 'shown') {
    return null;
  }
  const waitSeconds = incumbent.answer === 'not_shown' ? null : await secondsUntilSilent(tx, node.id);
  return waitSeconds === 0 ? null : { nodeId: node.id, copiedState: false, waitSeconds };
}

/**
 * Decides whether to refuse a machine that shows the credential. It is refused only if another machine answers at the node's address. The
 * silence of the agent does not matter, because a restarted agent sent a heartbeat a moment ago.
 */
export const refuseCopiedState = ({ id }: Node, incumbent: Incumbent | undefined): Refusal | null =>
  incumbent?.nodeId === id && incumbent.answer === 'not_shown' ? { nodeId: id, copiedState: true, waitSeconds: null } : null;

const EVENT_EVERY_SECONDS = 3600;

/** Records a clone, once an hour for each address, and returns the error for it. */
export async function noteClone(
  ctx: FlowContext,
  { hostname, address, from }: Registrant,
  { nodeId, copiedState, waitSeconds }: Refusal,
): Promise<OrionError> {
  if (waitSeconds !== null) {
    const detail = `Node ${nodeId} has this host key, and its agent called a moment ago. If this is the same machine and its agent lost its state, the agent is let in once the old one counts as silent. ${IF_CLONE}`;
    return new OrionError('host_key_in_use', detail, { retryAfterSeconds: waitSeconds });
  }
  const isNew = await transaction(ctx.db, async (tx) => {
    await lockNode(tx, nodeId);
    const data = { address, from, hostname, copied_state: copiedState };
    const before = await hasEventLately(tx, {
      type: 'node.clone_refused',
      of: 'node',
      id: nodeId,
      is: (known) => known.address === address && known.from === from,
      seconds: EVENT_EVERY_SECONDS,
    });
    if (!before) {
      await recordEvent(tx, { type: 'node.clone_refused', actor: ctx.actor, nodeId, data });
    }
    return !before;
  });
  if (isNew) {
    ctx.logger.warn('clone refused', { nodeId, address, from, hostname, copiedState });
  }
  return new OrionError(
    'host_key_in_use',
    `This machine is a copy of node ${nodeId}, which is in use${copiedState ? ', and holds a copy of its credential' : ' and has the same SSH host key'}. ${IF_CLONE}`,
  );
}

const IF_CLONE =
  'A machine that was made from an image of another needs a host key of its own: run the installer with --new-host-key and a join token (ORION_TOKEN=... sh -s -- --new-host-key). Or by hand: `rm -rf /var/lib/orion/agent /etc/ssh/ssh_host_*; ssh-keygen -A`, reload sshd, then start the agent with a join token.';
