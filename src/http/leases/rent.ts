import type { BodyOf } from '../../contract';
import { type rentNodes as rentCall, secondsOf } from '../../contract/leases';
import { type RentOutcome, rentNodes } from '../../flows/rent/rent-nodes';
import { createReserve } from '../../flows/rent/reserve';
import { OrionError } from '../../lib/errors';
import { findUser, findUserByName, listUserKeys, parseSshPublicKey, type User } from '../../modules/accounts';
import type { RentResult } from '../../modules/telemetry';
import type { ApiDeps } from '../deps';
import type { Answered } from '../route';
import { type GatewayAddress, presentLease } from './presenter';

interface RentCall {
  body: BodyOf<typeof rentCall>;
  by: User;
  idempotencyKey: string | null;
}

/** Handles `POST /api/rent`, after the caller is identified and the body is validated. */
export type Rent = (call: RentCall) => Promise<Answered<typeof rentCall>>;

type Ctx = ApiDeps['ctx'];

/**
 * Creates the handler of rents, once per process. So rents that arrive together share a batch, whether they come through Express or the
 * fast path.
 */
export function createRent(deps: Pick<ApiDeps, 'ctx' | 'settings'>): Rent {
  const ctx = { ...deps.ctx, reserve: createReserve(deps.ctx) };
  const { minLeaseSeconds, gateway } = deps.settings;

  const rent = async ({ body, by, idempotencyKey }: RentCall): Promise<RentOutcome> => {
    const user = await findClient(ctx, by, body.client_id);
    const durationSeconds = secondsOf(body);
    if (durationSeconds < minLeaseSeconds) {
      throw new OrionError('invalid_request', `A lease lasts at least ${minLeaseSeconds} s.`);
    }
    if (body.with_password && gateway?.only) {
      throw new OrionError(
        'invalid_request',
        'Every login here goes through the gateway, which takes no passwords. Leave with_password out, and log in with a key.',
      );
    }
    const { cpus, memory_mb: memoryMb, labels } = body.requirements;
    const keyInRequest = body.ssh_public_key === undefined ? null : parseSshPublicKey(body.ssh_public_key).line;
    return rentNodes(ctx, {
      user,
      requestedBy: by,
      durationSeconds,
      count: body.count,
      requirements: { cpus, memoryMb, labels },
      publicKeys: await findKeys(ctx, user, { given: keyInRequest, passwordWillDo: body.with_password }),
      keyInRequest,
      withPassword: body.with_password,
      checkpoint: body.checkpoint,
      idempotencyKey,
    });
  };
  return async (call) => {
    const startedAt = ctx.clock.monotonicMs();
    try {
      const outcome = await rent(call);
      ctx.metrics.rents.inc({ result: outcome.replayed ? 'replayed' : outcome.complete ? 'ok' : 'pending' });
      return answerRent(outcome, gateway);
    } catch (error) {
      ctx.metrics.rents.inc({ result: resultOf(error) });
      throw error;
    } finally {
      ctx.metrics.rentSeconds.observe((ctx.clock.monotonicMs() - startedAt) / 1000);
    }
  };
}

function answerRent({ leases, password, replayed, complete }: RentOutcome, gateway: GatewayAddress | null): Answered<typeof rentCall> {
  const headers = { 'Cache-Control': 'no-store', ...(replayed ? { 'Idempotent-Replayed': 'true' } : {}) };
  return {
    status: complete ? (replayed ? 200 : 201) : 202,
    headers,
    body: { leases: leases.map((view) => presentLease(view, gateway)), password },
  };
}

function resultOf(error: unknown): RentResult {
  const code = error instanceof OrionError ? error.code : 'internal';
  if (code === 'no_node_free') {
    return 'no_node';
  }
  return code === 'internal' || code === 'unavailable' || code === 'provisioning_failed' ? 'failed' : 'refused';
}

/** Finds the account that the rent is for. A user rents for their own account; only an admin may name another (R11). */
async function findClient(ctx: Ctx, me: User, clientId: number | string | undefined): Promise<User> {
  if (clientId === undefined || clientId === me.id || clientId === me.username) {
    return me;
  }
  if (me.role !== 'admin') {
    throw new OrionError('forbidden', 'Only an admin may rent for another account. Leave client_id out, or give your own.');
  }
  const client = typeof clientId === 'number' ? await findUser(ctx.db, clientId) : await findUserByName(ctx.db, clientId);
  if (!client || client.disabledAt !== null) {
    throw new OrionError('not_found', 'There is no such account, or it is disabled.');
  }
  return client;
}

async function findKeys(
  ctx: Ctx,
  user: User,
  { given, passwordWillDo }: { given: string | null; passwordWillDo: boolean },
): Promise<string[]> {
  if (given !== null) {
    return [given];
  }
  const keys = (await listUserKeys(ctx.db, user.id)).map(({ publicKey }) => publicKey);
  if (keys.length === 0 && !passwordWillDo) {
    throw new OrionError(
      'public_key_missing',
      'Give "ssh_public_key", or add a key to the account with `POST /api/keys`, or ask for "with_password": true.',
    );
  }
  return keys;
}
