import type { Request, Response } from 'express';
import type { z } from 'zod';
import { leaveNode } from '../../flows/leave-node';
import type { HeartbeatRhythm } from '../../flows/heartbeat-rhythm';
import { takeHeartbeat } from '../../flows/record-heartbeat';
import { type NodeRegistration, registerNode } from '../../flows/register-node';
import { OrionError } from '../../lib/errors';
import type { Node } from '../../modules/nodes';
import type { ApiDeps } from '../deps';
import type { Authenticator } from '../auth';
import { callerAddressOf } from '../caller-address';
import type { RouteMaker } from '../route';
import { HEARTBEAT_PATH, parseHostKey, presentHeartbeat, presentUsual, toHeartbeat } from './heartbeat-call';
import { heartbeatAnswer, heartbeatBody, leaveAnswer, registerAnswer, registerBody } from './schema';

const nodeOf = (res: Response): Node => res.locals.node as Node;
const knownNodeOf = (res: Response): Node | null => (res.locals.node as Node | undefined) ?? null;

export type WorkerDeps = ApiDeps & { rhythm: HeartbeatRhythm };

/** What the agents call. */
export function addWorkerRoutes(routes: RouteMaker, { ctx, settings, limits, rhythm }: WorkerDeps, auth: Authenticator): void {
  const usual = presentUsual(settings);

  for (const path of ['/api/workers/register', '/api/register']) {
    routes.add(
      {
        method: 'post', path, summary: 'A machine announces itself', access: 'public', body: registerBody, guards: [auth.optionalNode, ...limits.register], problems: [401, 409, 410, 429],
        answers: { 200: { description: 'Known, updated', schema: registerAnswer }, 201: { description: 'Enrolled', schema: registerAnswer }, 202: { description: 'Waits for an operator', schema: registerAnswer } },
      },
      async ({ body, req, res }) => {
        const known = knownNodeOf(res);
        const { nodeId, status, credential } = await registerNode(ctx, toRegistration(body, { known, address: body.address ?? addressOf(req), from: callerAddressOf(req) ?? 'unknown' }));
        const answer = { node_id: nodeId, status, ...(credential === null ? {} : { credential }), ...usual };
        return { status: status === 'pending' ? 202 : known ? 200 : 201, body: answer, headers: { 'Cache-Control': 'no-store' } };
      },
    );
  }
  routes.add(
    { method: 'post', path: HEARTBEAT_PATH, summary: 'An agent calls home', access: 'node', body: heartbeatBody, answers: { 200: { description: 'What the agent should know', schema: heartbeatAnswer } }, problems: [410, 503] },
    async ({ body, res }) => ({ status: 200, body: presentHeartbeat(await takeHeartbeat({ ...ctx, rhythm }, nodeOf(res), toHeartbeat(body)), usual) }),
  );
  routes.add(
    { method: 'post', path: '/api/workers/leave', summary: 'A machine asks to go; repeated until `left`', access: 'node', answers: { 200: { description: 'How far it is', schema: leaveAnswer } }, problems: [410] },
    async ({ res }) => ({ status: 200, body: await leaveNode(ctx, nodeOf(res).id) }),
  );
}

function addressOf(req: Request): string {
  const address = callerAddressOf(req);
  if (address === undefined) {
    throw new OrionError('invalid_request', 'address: the proxy in front does not say where the machine is. Send "address".');
  }
  return address;
}

function toRegistration(body: z.output<typeof registerBody>, { known, address, from }: { known: Node | null; address: string; from: string }): NodeRegistration {
  const { cpus, memory_mb: memoryMb, ...facts } = body.facts;
  return {
    hostname: body.hostname,
    address,
    from,
    sshPort: body.ssh_port,
    hostKey: parseHostKey(body.host_key),
    joinToken: body.join_token ?? null,
    cpus: cpus ?? 1,
    memoryMb: memoryMb ?? 0,
    labels: body.labels,
    facts,
    known,
  };
}
