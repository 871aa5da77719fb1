import type { BodyOf } from '../../contract';
import * as calls from '../../contract/workers';
import { noteDispute } from '../../flows/audit/note-dispute';
import { leaveNode } from '../../flows/enrolment/leave-node';
import type { HeartbeatSchedule } from '../../flows/heartbeats/heartbeat-schedule';
import type { SelfReport } from '../../flows/heartbeats/follow-facts';
import { type HeartbeatLog, takeHeartbeat } from '../../flows/heartbeats/record-heartbeat';
import { issueChallenge, readChallenge, spendChallenge } from '../../flows/enrolment/prove-machine';
import { type NodeRegistration, registerNode } from '../../flows/enrolment/register-node';
import { createSeal } from '../../lib/call-mac';
import { OrionError } from '../../lib/errors';
import { sha256 } from '../../lib/ids';
import { readConsistencyProof } from '../../lib/tree/proofs';
import { countEntries, createHeadCache, findNewestHead, readSubtrees } from '../../modules/audit';
import { findNode } from '../../modules/nodes';
import type { ApiDeps } from '../deps';
import type { CallRequest } from '../call';
import { callerAddressOf } from '../caller-address';
import type { RouteMaker } from '../route';
import { parseHostKey, presentHeartbeat, presentNews, presentUsual, toHeartbeat } from './heartbeat-call';
import { readProof } from './proof';

export interface WorkerDeps extends ApiDeps {
  schedule: HeartbeatSchedule;
  heartbeats: HeartbeatLog;
}

/** Adds the routes that agents call. */
export function addWorkerRoutes(routes: RouteMaker, { ctx, settings, limits, schedule, heartbeats }: WorkerDeps): void {
  const usual = presentUsual(settings);
  const { management, ...unsigned } = usual;
  const statement = sha256(management.statement.text);
  const newestHead = createHeadCache(() => findNewestHead(ctx.db), ctx.clock);

  routes
    .on(calls.challengeMachine)
    .answer(async () => ({ status: 200, body: { challenge: await issueChallenge(ctx) }, headers: { 'Cache-Control': 'no-store' } }));
  for (const call of [calls.registerMachine, calls.register]) {
    routes.on(call, ...limits.register).answer(async ({ body, req, by }) => {
      const known = (by && (await findNode(ctx.db, by.nodeId))) ?? null;
      const proof = readProof(req, body);
      const { nodeId, status, agreed } = await registerNode(ctx, { ...toRegistration(body, req), known, proof });
      const answer = { node_id: nodeId, status, ...(agreed && { server_key: agreed.serverKey, signature: agreed.signature }), ...usual };
      const sealed = agreed && proof ? { seal: createSeal(sha256(agreed.credential), proof.challenge) } : {};
      return { status: status === 'pending' ? 202 : known ? 200 : 201, body: answer, headers: { 'Cache-Control': 'no-store' }, ...sealed };
    });
  }
  routes.on(calls.heartbeat).answer(async ({ body, req, by }) => {
    const self = body.self === undefined ? undefined : toSelfReport(body.self, req);
    const answer = await takeHeartbeat({ ...ctx, schedule, heartbeats }, by, { ...toHeartbeat(body), self });
    const { audit_head: kept, audit_dispute: reason } = body;
    if (reason !== undefined) {
      await noteDispute(ctx, { nodeId: by.nodeId, reason });
    }
    const head = kept && (await newestHead(kept.size));
    return {
      status: 200,
      body: { ...presentHeartbeat(answer, body.statement === statement ? unsigned : usual), ...presentNews(kept, head) },
    };
  });
  routes.on(calls.proveAuditLog).answer(async ({ query: { from, to } }) => {
    const size = await countEntries(ctx.db);
    if (from > to || to > size) {
      throw new OrionError('invalid_request', `The audit log has ${size} entries: use numbers with from <= to <= ${size}.`);
    }
    const proof = await readConsistencyProof({ from, to }, readSubtrees(ctx.db));
    return { status: 200, body: { proof: proof.map((hash) => hash.toString('base64')) } };
  });
  routes.on(calls.leaveFleet).answer(async ({ by: { nodeId, mac } }) => {
    if (mac) {
      await spendChallenge(ctx.db, nodeId, await readChallenge(ctx, mac.nonce));
    }
    return { status: 200, body: await leaveNode(ctx, nodeId) };
  });
}

function addressOf(req: CallRequest): string {
  const address = callerAddressOf(req);
  if (address === undefined) {
    throw new OrionError('invalid_request', 'address: the proxy in front does not say where the machine is. Send "address".');
  }
  return address;
}

const toRegistration = (body: BodyOf<typeof calls.registerMachine>, req: CallRequest): Omit<NodeRegistration, 'known' | 'proof'> => ({
  ...toReport(body, req),
  from: callerAddressOf(req) ?? 'unknown',
  hostKey: parseHostKey(body.host_key),
  uidRange: body.uid_range ?? null,
});

/** Converts the self-report of a heartbeat. Null: it is not valid, or the address of the machine is unknown. */
function toSelfReport(self: unknown, req: CallRequest): SelfReport | null {
  const parsed = calls.selfReport.safeParse(self);
  return parsed.success && (parsed.data.address ?? callerAddressOf(req)) !== undefined ? toReport(parsed.data, req) : null;
}

function toReport(body: calls.SelfReported, req: CallRequest): SelfReport {
  const { cpus, memory_mb: memoryMb, ...facts } = body.facts;
  return {
    hostname: body.hostname,
    address: body.address ?? addressOf(req),
    sshPort: body.ssh_port,
    mark: body.mark ?? null,
    cpus: cpus ?? 1,
    memoryMb: memoryMb ?? 0,
    labels: body.labels,
    facts,
  };
}
