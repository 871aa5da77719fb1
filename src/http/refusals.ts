import { PROBLEMS } from '../contract';
import { OrionError } from '../lib/errors';
import { actorOf } from '../modules/accounts';
import { ANONYMOUS, type Refusal } from '../modules/audit';
import type { CallLocals, CallRequest } from './call';
import { originOf } from './origin';

/** HTTP statuses that refuse a caller: who it is, what it may, how often it comes. */
const REFUSED: readonly number[] = [401, 403, 429];

interface FailedCall {
  req: CallRequest;
  locals: CallLocals;
  /** Of the endpoint, without values: a caller may send any number of different paths. */
  path: string;
}

/**
 * Returns what the audit log records of a call that failed. Undefined: Orion did not refuse the caller, or the flow has recorded it. A
 * caller without a name is counted by its address.
 */
export function refusalOf(error: unknown, { req, locals, path }: FailedCall): Refusal | undefined {
  if (!(error instanceof OrionError) || !REFUSED.includes(PROBLEMS[error.code].status) || error.code === 'bad_credentials') {
    return undefined;
  }
  const { code } = error;
  const { principal, caller } = locals;
  const method = req.method ?? '';
  const origin = originOf(req, locals);
  const actor = principal ? actorOf(principal.user) : caller ? `node:${caller.nodeId}` : ANONYMOUS;
  const who = actor === ANONYMOUS ? origin.address : actor;
  return {
    type: 'access.refused',
    kind: `${who} ${method} ${path} ${code}`,
    actor,
    userId: principal?.user.id,
    origin,
    data: { method, path, code },
  };
}
