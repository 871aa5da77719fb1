import { type Tx, transaction } from '../../db/transaction';
import { OrionError } from '../../lib/errors';
import { fingerprintOf } from '../../lib/host-key';
import { sha256 } from '../../lib/ids';
import type { UidRange } from '../../lib/uid-range';
import { recordEvent } from '../../modules/audit';
import {
  type Decided,
  decidedWith,
  decisionsOf,
  expectFirstHeartbeat,
  type Facts,
  type JoinToken,
  type Labels,
  lockNode,
  lockNodeByHostKey,
  type Node,
  type NodeStatus,
  placeableOf,
  recordHeartbeats,
  UNDECIDED,
  upsertNode,
} from '../../modules/nodes';
import { admitPending, isWorthAnEvent } from './pending-nodes';
import {
  agreeOnCredential,
  type AgreedCredential,
  checkHostKey,
  type MachineProof,
  type ProofContext,
  readChallenge,
  spendChallenge,
  useJoinToken,
} from './prove-machine';
import { quarantine } from '../nodes/quarantine-node';
import { failpoint } from '../support/failpoints';
import {
  askIncumbent,
  type CloneContext,
  type Incumbent,
  noteClone,
  refuseCopiedState,
  refuseTakeover,
  type Refusal,
} from '../nodes/tell-clones';

/** The context of registrations. */
export interface EnrolmentContext extends CloneContext, ProofContext {
  enrolment: 'token' | 'open';
}

export interface NodeRegistration {
  hostname: string;
  address: string;
  /** The source address of the request. */
  from: string;
  sshPort: number;
  /** `type base64`. */
  hostKey: string;
  /** See lib/registration-mark. Null: the agent is of the previous release. */
  mark: string | null;
  /** Null: the agent is of the previous release. It shows its credential and sends no proof. */
  proof: MachineProof | null;
  cpus: number;
  memoryMb: number;
  labels: Labels;
  facts: Facts;
  /** Range of uids that the machine must use. Null: the range of the fleet. */
  uidRange: UidRange | null;
  /** The node that the shown credential belongs to. Null: no credential was shown. */
  known: Node | null;
}

export interface Registered {
  nodeId: number;
  status: NodeStatus;
  /** Null unless a new credential was agreed on. */
  agreed: AgreedCredential | null;
}

/**
 * R1, R3: registers a machine. Its host key identifies it, and it proves that it holds the private half. A known machine is updated and
 * never gets a second row. The credential of the node or a valid join token admits the machine. Without either, the node is `pending` until
 * an operator approves it, or is admitted at once under open enrolment.
 *
 * Throws unauthenticated (no proof, bad token), state_conflict (old challenge), node_retired and node_known (enrolled already). Throws
 * host_key_in_use for a copy of a node in use, which stays as it is. Throws host_key_changed; the node is then quarantined, unless it is
 * pending.
 */
export async function registerNode(ctx: EnrolmentContext, request: NodeRegistration): Promise<Registered> {
  const challengedAt = await checkProof(ctx, request);
  const incumbent = await askIncumbent(ctx, request);
  failpoint('register.begin');
  const result = await transaction(ctx.db, async (tx) => {
    const registered = await register(tx, ctx, { ...request, challengedAt, incumbent });
    failpoint('register.commit');
    return registered;
  });
  failpoint('register.done');
  // Thrown after the transaction, because the quarantine must be committed.
  if (result === 'host_key_changed') {
    throw new OrionError(
      'host_key_changed',
      'This node enrolled with another host key and is quarantined. An operator has to look at it: `orion node approve` accepts the new key.',
    );
  }
  if ('waitSeconds' in result) {
    throw await noteClone(ctx, request, result);
  }
  // Outside the transaction, so that no heartbeat waits for a registration.
  const { heartbeatOverdueSeconds: overdueSeconds } = ctx.settings;
  await (result.agreed
    ? expectFirstHeartbeat(ctx.db, result.nodeId, overdueSeconds)
    : recordHeartbeats(ctx.db, [{ nodeId: result.nodeId, vitals: {}, overdueSeconds }]));
  return result;
}

/** Returns when the challenge of the proof was issued. Null without a proof, which a known machine does not need. */
async function checkProof(ctx: EnrolmentContext, { hostKey, known, proof }: NodeRegistration): Promise<number | null> {
  if (proof) {
    checkHostKey(hostKey, proof);
    return readChallenge(ctx, proof.challenge);
  }
  if (!known) {
    throw new OrionError(
      'unauthenticated',
      'The registration does not prove that the machine holds its host key: its agent is of a release before. Bring it up to date (run the installer again).',
    );
  }
  return null;
}

type Proved = NodeRegistration & { challengedAt: number | null; incumbent: Incumbent | undefined };
type Outcome = Registered | Refusal | 'host_key_changed';

async function register(tx: Tx, ctx: EnrolmentContext, request: Proved): Promise<Outcome> {
  const { known, proof } = request;
  if (known || !proof) {
    return reregister(tx, ctx, { request, nodeId: known?.id ?? 0 });
  }
  return enrol(tx, ctx, { request, proof });
}

/** Enrols a machine that shows no credential. */
async function enrol(tx: Tx, ctx: EnrolmentContext, { request, proof }: { request: Proved; proof: MachineProof }): Promise<Outcome> {
  const twin = await lockNodeByHostKey(tx, fingerprintOf(request.hostKey));
  const mayEnter = proof.join !== null || ctx.enrolment === 'open';
  if (twin && !mayEnter && twin.status !== 'pending') {
    throw new OrionError(
      'node_known',
      `This machine is enrolled as node ${twin.id}, but its credential was not shown. Restore the agent's state directory, or register with a join token.`,
    );
  }
  // Checked before the token is used.
  const refusal = twin && (await refuseTakeover(tx, twin, request.incumbent));
  if (refusal) {
    return refusal;
  }
  const token = await useJoinToken(tx, proof);
  const admitted = token !== undefined || ctx.enrolment === 'open';
  const decided = decidedWith(decisionsOf(twin), token ?? UNDECIDED);
  const agreed = agreeOnCredential(ctx, proof);
  return upsert(tx, ctx, { request, status: statusOf(twin, admitted), before: twin, decided, agreed, token });
}

/** Returns the status of the node. A quarantined node stays quarantined, even with a token or under open enrolment. */
function statusOf(twin: Node | undefined, admitted: boolean): Upsert['status'] {
  if (twin?.status === 'quarantined') {
    return 'quarantined';
  }
  return admitted ? 'unknown' : 'pending';
}

/** Registers a machine that shows its credential: its agent was restarted, or the machine came back. */
async function reregister(tx: Tx, ctx: EnrolmentContext, { request, nodeId }: { request: Proved; nodeId: number }): Promise<Outcome> {
  const node = await lockNode(tx, nodeId);
  if (!node || node.status === 'retired') {
    throw new OrionError('node_retired', "This node was retired. To enrol the machine anew, remove the agent's state directory.");
  }
  const refusal = refuseCopiedState(node, request.incumbent);
  if (refusal) {
    return refusal;
  }
  if (node.hostKey !== request.hostKey) {
    await refuseOtherHostKey(tx, ctx, { request, node });
    return 'host_key_changed';
  }
  const status = node.status === 'pending' || node.status === 'quarantined' ? node.status : 'unknown';
  return upsert(tx, ctx, { request, status, before: node, decided: decisionsOf(node), agreed: null });
}

/** Quarantines the node, once for each key that it offers. Throws host_key_changed for a pending node, which has no lease to protect. */
async function refuseOtherHostKey(tx: Tx, ctx: EnrolmentContext, { request, node }: { request: Proved; node: Node }): Promise<void> {
  if (node.status === 'pending') {
    throw new OrionError(
      'host_key_changed',
      'This machine enrolled with another host key, and waits for approval with that one. Ask an operator to retire it, then enrol anew.',
    );
  }
  if (node.status === 'quarantined' && node.offeredHostKey === request.hostKey) {
    return;
  }
  if (request.challengedAt !== null) {
    await spendChallenge(tx, node.id, request.challengedAt);
  }
  await quarantine(tx, ctx, {
    nodeId: node.id,
    reason: 'it came back with another host key',
    offeredHostKey: request.hostKey,
    actor: `node:${node.id}`,
  });
}

interface Upsert {
  request: Proved;
  status: 'pending' | 'unknown' | 'quarantined';
  before: Node | undefined;
  decided: Decided;
  agreed: AgreedCredential | null;
  /** The join token that the registration has used. */
  token?: JoinToken | undefined;
}

async function upsert(tx: Tx, ctx: EnrolmentContext, { request, status, before, decided, agreed, token }: Upsert): Promise<Registered> {
  const enrolledFrom = await admitPending(tx, ctx, { before, status, from: request.from });
  const { hostname, address, sshPort, hostKey, facts, challengedAt } = request;
  const nodeId = await upsertNode(tx, {
    hostname,
    address,
    sshPort,
    hostKey,
    facts,
    status,
    decided,
    enrolledFrom,
    ...placeableOf(decided, request),
    fingerprint: fingerprintOf(hostKey),
    credentialHash: agreed && sha256(agreed.credential),
    fleetUids: ctx.settings.uids,
    uidRange: request.uidRange,
  });
  if (challengedAt !== null) {
    await spendChallenge(tx, nodeId, challengedAt);
  }
  if (isWorthAnEvent(before, { status })) {
    const data = { hostname, address, status, hostKeyFingerprint: fingerprintOf(hostKey), ...(token && { join_token_id: token.id }) };
    await recordEvent(tx, { type: 'node.registered', actor: `node:${nodeId}`, nodeId, data });
  }
  if (token && token.uses >= token.maxUses) {
    const { id, name, uses } = token;
    await recordEvent(tx, { type: 'token.used_up', actor: `node:${nodeId}`, nodeId, data: { join_token_id: id, name, uses } });
  }
  return { nodeId, status, agreed };
}
