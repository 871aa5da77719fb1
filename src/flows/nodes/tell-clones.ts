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

/** A machine that registers, as far as it matters here. */
export interface Registrant {
  hostname: string;
  address: string;
  /** Where the request came from. */
  from: string;
  /** See lib/registration-mark; null: its agent is of a release before. */
  mark: string | null;
  hostKey: string;
  /** The node whose credential it shows. */
  known: Node | null;
}

/** The node whose row the machine asks for, and what the machine at the node's address answered. */
export interface Incumbent {
  nodeId: number;
  registeredAt: Date;
  answer: MarkAnswer;
}

/** Why a machine does not get a row. */
export interface Refusal {
  nodeId: number;
  /** With the credential, too, the machine holds a copy of the agent's state. */
  copiedState: boolean;
  /** Null: it is another machine than the node, which answers. Else nobody can tell yet, and knows more after so many seconds. */
  waitSeconds: number | null;
}

/**
 * Asks the machine at the address of the node that `registrant` claims to be whether it is the one that registers. Outside of every transaction. A machine that waits
 * for approval is not asked: nobody but the machine itself gave its address. Undefined: the host key is new.
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
 * Whether a machine that shows the host key of the locked `node`, but not its credential, is refused. It gets the row when it is the machine at the node's address,
 * or when nobody answers there and the agent has been silent for longer than it may. Throws state_conflict when the row changed since the machine there was asked.
 */
export async function refuseTakeover(tx: Tx, node: Node, incumbent: Incumbent | undefined): Promise<Refusal | null> {
  if (incumbent?.nodeId !== node.id || incumbent.registeredAt.getTime() !== node.registeredAt.getTime()) {
    throw new OrionError('state_conflict', 'A machine with this host key registered at the same moment. Try again.', { retryAfterSeconds: 1 });
  }
  if (incumbent.answer === 'shown') {
    return null;
  }
  const waitSeconds = incumbent.answer === 'not_shown' ? null : await secondsUntilSilent(tx, node.id);
  return waitSeconds === 0 ? null : { nodeId: node.id, copiedState: false, waitSeconds };
}

/** The same for a machine that shows the credential. Only an answer of another machine speaks against it: an agent that starts again was heard a moment ago. */
export const refuseCopiedState = ({ id }: Node, incumbent: Incumbent | undefined): Refusal | null =>
  incumbent?.nodeId === id && incumbent.answer === 'not_shown' ? { nodeId: id, copiedState: true, waitSeconds: null } : null;

const EVENT_EVERY_SECONDS = 3600;

/** Puts a clone on record, once an hour for each address, and returns what the clone is told. */
export async function noteClone(ctx: FlowContext, { hostname, address, from }: Registrant, { nodeId, copiedState, waitSeconds }: Refusal): Promise<OrionError> {
  if (waitSeconds !== null) {
    const detail = `Node ${nodeId} has this host key, and its agent called a moment ago. If this is the same machine and its agent lost its state, the agent is let in once the old one counts as silent. ${IF_CLONE}`;
    return new OrionError('host_key_in_use', detail, { retryAfterSeconds: waitSeconds });
  }
  const isNew = await transaction(ctx.db, async (tx) => {
    await lockNode(tx, nodeId);
    const data = { address, from, hostname, copied_state: copiedState };
    const before = await hasEventLately(tx, { type: 'node.clone_refused', of: 'node', id: nodeId, is: (known) => known.address === address && known.from === from, seconds: EVENT_EVERY_SECONDS });
    if (!before) {
      await recordEvent(tx, { type: 'node.clone_refused', actor: ctx.actor, nodeId, data });
    }
    return !before;
  });
  if (isNew) {
    ctx.logger.warn('clone refused', { nodeId, address, from, hostname, copiedState });
  }
  return new OrionError('host_key_in_use', `This machine is a copy of node ${nodeId}, which is in use${copiedState ? ', and holds a copy of its credential' : ' and has the same SSH host key'}. ${IF_CLONE}`);
}

const IF_CLONE =
  'A machine that was made from an image of another needs a host key of its own: run the installer with --new-host-key and a join token (ORION_TOKEN=... sh -s -- --new-host-key). Or by hand: `rm -rf /var/lib/orion/agent /etc/ssh/ssh_host_*; ssh-keygen -A`, reload sshd, then start the agent with a join token.';
