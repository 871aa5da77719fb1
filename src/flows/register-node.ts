import { type Tx, transaction } from '../db/transaction';
import { OrionError } from '../lib/errors';
import { fingerprintOf } from '../lib/host-key';
import { randomSecret, sha256 } from '../lib/ids';
import { recordEvent } from '../modules/audit';
import { consumeJoinToken, type Decided, decidedWith, type Facts, type JoinToken, type Labels, lockNode, lockNodeByHostKey, type Node, type NodeStatus, placeableOf, recordHeartbeats, upsertNode } from '../modules/nodes';
import type { FlowContext } from './context';
import { admitPending, isWorthAnEvent } from './pending-nodes';
import { quarantine } from './quarantine-node';
import { reached } from './steps';

/** What registration needs besides the usual. */
export interface EnrolmentContext extends FlowContext {
  enrolment: 'token' | 'open';
  /** The first uid that placements on a node get. */
  firstUid: number;
}

export interface NodeRegistration {
  hostname: string;
  address: string;
  /** Where the request came from. */
  from: string;
  sshPort: number;
  /** `type base64`. */
  hostKey: string;
  joinToken: string | null;
  cpus: number;
  memoryMb: number;
  labels: Labels;
  facts: Facts;
  /** The node that the shown credential belongs to, or null without one. */
  known: Node | null;
}

export interface Registered {
  nodeId: number;
  status: NodeStatus;
  /** Only when a new one was issued: shown this once. */
  credential: string | null;
}

/**
 * R1, R3: a machine announces itself. Its identity is its host key: a known machine is updated, never doubled. Who may: the holder of the node's
 * credential; a valid join token; without either, the node is `pending` until an operator approves it (or at once under open enrolment).
 *
 * Throws unauthenticated (bad token), node_retired, node_known (somebody else's machine), host_key_changed (the node is quarantined).
 */
export async function registerNode(ctx: EnrolmentContext, request: NodeRegistration): Promise<Registered> {
  reached('register.begin');
  const result = await transaction(ctx.db, async (tx) => {
    const registered = await register(tx, ctx, request);
    reached('register.commit');
    return registered;
  });
  reached('register.done');
  // Thrown only now: the quarantine that goes with it has to be committed.
  if (result === 'host_key_changed') {
    throw new OrionError('host_key_changed', 'This node enrolled with another host key and is quarantined. An operator has to look at it: `orion node approve` accepts the new key.');
  }
  // Outside the transaction: nobody's heartbeat waits for a registration.
  await recordHeartbeats(ctx.db, [{ nodeId: result.nodeId, vitals: {}, overdueSeconds: ctx.settings.heartbeatOverdueSeconds }]);
  return result;
}

async function register(tx: Tx, ctx: EnrolmentContext, request: NodeRegistration): Promise<Registered | 'host_key_changed'> {
  if (request.known) {
    return reregister(tx, ctx, { request, nodeId: request.known.id });
  }
  const twin = await lockNodeByHostKey(tx, fingerprintOf(request.hostKey));
  const token = await useJoinToken(tx, request.joinToken);
  const admitted = token !== undefined || ctx.enrolment === 'open';
  if (twin && !admitted && twin.status !== 'pending') {
    throw new OrionError('node_known', `This machine is enrolled as node ${twin.id}, but its credential was not shown. Restore the agent's state directory, or register with a join token.`);
  }
  const status = twin?.status === 'quarantined' ? 'quarantined' : admitted ? 'unknown' : 'pending';
  const enrolledFrom = status === 'pending' && !twin ? await admitPending(tx, ctx, request.from) : null;
  return upsert(tx, ctx, { request, status, before: twin, enrolledFrom, decided: decidedWith(twin && decisionsOf(twin), token), newCredential: true });
}

async function useJoinToken(tx: Tx, secret: string | null): Promise<JoinToken | undefined> {
  if (secret === null) {
    return undefined;
  }
  const token = await consumeJoinToken(tx, sha256(secret));
  if (!token) {
    throw new OrionError('unauthenticated', 'The join token is unknown, used up, expired or revoked. Ask an operator for a new one: `orion token create`.');
  }
  return token;
}

/** The machine shows its credential: an agent that was restarted, or a machine that came back. */
async function reregister(tx: Tx, ctx: EnrolmentContext, { request, nodeId }: { request: NodeRegistration; nodeId: number }): Promise<Registered | 'host_key_changed'> {
  const node = await lockNode(tx, nodeId);
  if (!node || node.status === 'retired') {
    throw new OrionError('node_retired', 'This node was retired. To enrol the machine anew, remove the agent\'s state directory.');
  }
  if (node.hostKey !== request.hostKey && node.status === 'pending') {
    throw new OrionError('host_key_changed', 'This machine enrolled with another host key, and waits for approval with that one. Ask an operator to retire it, then enrol anew.');
  }
  if (node.hostKey !== request.hostKey) {
    await quarantine(tx, ctx, { nodeId, reason: 'it came back with another host key', offeredHostKey: request.hostKey, actor: `node:${nodeId}` });
    return 'host_key_changed';
  }
  const status = node.status === 'pending' || node.status === 'quarantined' ? node.status : 'unknown';
  return upsert(tx, ctx, { request, status, before: node, enrolledFrom: null, decided: decisionsOf(node), newCredential: false });
}

const decisionsOf = ({ operatorLabels, maxCpus, maxMemoryMb }: Node): Decided => ({ labels: operatorLabels, maxCpus, maxMemoryMb });

interface Upsert {
  request: NodeRegistration;
  status: 'pending' | 'unknown' | 'quarantined';
  before: Node | undefined;
  enrolledFrom: string | null;
  decided: Decided;
  newCredential: boolean;
}

async function upsert(tx: Tx, ctx: EnrolmentContext, { request, status, before, enrolledFrom, decided, newCredential }: Upsert): Promise<Registered> {
  const credential = newCredential ? randomSecret('orion_node_') : null;
  const { hostname, address, sshPort, hostKey, facts } = request;
  const nodeId = await upsertNode(tx, {
    hostname, address, sshPort, hostKey, facts, status, decided, enrolledFrom,
    ...placeableOf(decided, request),
    fingerprint: fingerprintOf(hostKey),
    credentialHash: credential === null ? null : sha256(credential),
    firstUid: ctx.firstUid,
  });
  if (isWorthAnEvent(before, { status })) {
    await recordEvent(tx, { type: 'node.registered', actor: `node:${nodeId}`, nodeId, data: { hostname, address, status } });
  }
  return { nodeId, status, credential };
}
