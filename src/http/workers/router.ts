import type { Request, Response } from 'express';
import type { z } from 'zod';
import { leaveNode } from '../../flows/leave-node';
import type { HeartbeatRhythm } from '../../flows/heartbeat-rhythm';
import type { UseJudge } from '../../flows/judge-use';
import type { SelfReport } from '../../flows/follow-facts';
import { takeHeartbeat } from '../../flows/record-heartbeat';
import { issueChallenge, readChallenge, spendChallenge } from '../../flows/prove-machine';
import { type NodeRegistration, registerNode } from '../../flows/register-node';
import { createSeal } from '../../lib/call-mac';
import { OrionError } from '../../lib/errors';
import { sha256 } from '../../lib/ids';
import type { ApiDeps } from '../deps';
import type { Authenticator } from '../auth';
import { callerAddressOf } from '../caller-address';
import type { NodeCaller } from '../node-caller';
import type { RouteMaker } from '../route';
import { HEARTBEAT_PATH, parseHostKey, presentHeartbeat, presentUsual, toHeartbeat } from './heartbeat-call';
import { readProof } from './proof';
import { challengeAnswer, heartbeatAnswer, heartbeatBody, leaveAnswer, registerAnswer, registerBody, selfReport } from './schema';

const callerOf = (res: Response): NodeCaller => res.locals.caller as NodeCaller;

export type WorkerDeps = ApiDeps & { rhythm: HeartbeatRhythm; uses: UseJudge };

/** What the agents call. */
export function addWorkerRoutes(routes: RouteMaker, { ctx, settings, limits, rhythm, uses }: WorkerDeps, auth: Authenticator): void {
  const usual = presentUsual(settings);

  routes.add(
    { method: 'post', path: '/api/workers/challenge', summary: 'What an agent answers in its next call: so that none is any good a second time', access: 'public', answers: { 200: { description: 'A challenge', schema: challengeAnswer } } },
    async () => ({ status: 200, body: { challenge: await issueChallenge(ctx) }, headers: { 'Cache-Control': 'no-store' } }),
  );
  for (const path of ['/api/workers/register', '/api/register']) {
    routes.add(
      {
        method: 'post', path, summary: 'A machine announces itself', access: 'public', body: registerBody, guards: [auth.optionalNode, ...limits.register], problems: [401, 409, 410, 429],
        answers: { 200: { description: 'Known, updated', schema: registerAnswer }, 201: { description: 'Enrolled', schema: registerAnswer }, 202: { description: 'Waits for an operator', schema: registerAnswer } },
      },
      async ({ body, req, res }) => {
        const known = (res.locals.caller as NodeCaller | undefined)?.node ?? null;
        const proof = readProof(req, body);
        const { nodeId, status, agreed } = await registerNode(ctx, { ...toRegistration(body, req), known, proof });
        const answer = { node_id: nodeId, status, ...(agreed && { server_key: agreed.serverKey, signature: agreed.signature }), ...usual };
        const sealed = agreed && proof ? { seal: createSeal(sha256(agreed.credential), proof.challenge) } : {};
        return { status: status === 'pending' ? 202 : known ? 200 : 201, body: answer, headers: { 'Cache-Control': 'no-store' }, ...sealed };
      },
    );
  }
  routes.add(
    { method: 'post', path: HEARTBEAT_PATH, summary: 'An agent calls home', access: 'node', body: heartbeatBody, answers: { 200: { description: 'What the agent should know', schema: heartbeatAnswer } }, problems: [410, 503] },
    async ({ body, req, res }) => ({ status: 200, body: presentHeartbeat(await takeHeartbeat({ ...ctx, rhythm, uses }, callerOf(res).node, { ...toHeartbeat(body), self: toSelfReport(body.self, req) }), usual) }),
  );
  routes.add(
    { method: 'post', path: '/api/workers/leave', summary: 'A machine asks to go; repeated until `left`', access: 'node', answers: { 200: { description: 'How far it is', schema: leaveAnswer } }, problems: [409, 410] },
    async ({ res }) => {
      const { node, mac } = callerOf(res);
      if (mac) {
        await spendChallenge(ctx.db, node.id, await readChallenge(ctx, mac.nonce));
      }
      return { status: 200, body: await leaveNode(ctx, node.id) };
    },
  );
}

function addressOf(req: Request): string {
  const address = callerAddressOf(req);
  if (address === undefined) {
    throw new OrionError('invalid_request', 'address: the proxy in front does not say where the machine is. Send "address".');
  }
  return address;
}

const toRegistration = (body: z.output<typeof registerBody>, req: Request): Omit<NodeRegistration, 'known' | 'proof'> => ({
  ...toReport(body, req),
  from: callerAddressOf(req) ?? 'unknown',
  hostKey: parseHostKey(body.host_key),
  uidRange: body.uid_range ?? null,
});

/** Null: it is not valid, or there is none. */
function toSelfReport(self: unknown, req: Request): SelfReport | null {
  const parsed = selfReport.safeParse(self);
  return parsed.success && (parsed.data.address ?? callerAddressOf(req)) !== undefined ? toReport(parsed.data, req) : null;
}

function toReport(body: z.output<typeof selfReport>, req: Request): SelfReport {
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
