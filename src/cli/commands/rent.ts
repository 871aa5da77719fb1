import { randomUUID } from 'node:crypto';
import { type ApiAnswer, MAX_ATTEMPTS } from '../api';
import { parseDuration } from '../arguments';
import { NoAnswerError, usageError } from '../errors';
import { chooseKey, type KeyChoice } from '../key-choice';
import { printLease } from '../lease-view';
import { runSsh } from '../openssh';
import { type Progress, withProgress } from '../progress';
import { type CommandContext, type Session, withSession } from '../session';
import { fetchLease, waitForAccess } from '../wait-for-access';
import type { Lease, Rented, RentRequest } from '../../contract';

export interface RentOptions {
  hours?: number;
  minutes?: number;
  count?: number;
  cpus?: number;
  memoryMb?: number;
  label?: Record<string, string>;
  key?: string;
  password?: boolean;
  /** False with `--no-checkpoint`. */
  checkpoint?: boolean;
  /** Another account that gets the lease, by id or name. For admins. */
  for?: number | string;
  idempotencyKey?: string;
  ssh?: boolean;
}

/** Longer than the server waits for the accounts, so that the server answers first. */
const TIMEOUT_MS = 100_000;
const DEFAULT_DURATION = { duration_hours: 1 };

/** Rents, waits for the accounts and, with `--ssh`, logs in. Resolves with the exit code. */
export async function rent(context: CommandContext, options: RentOptions): Promise<number> {
  if (options.ssh && ((options.count ?? 1) > 1 || context.out.json)) {
    throw usageError('--ssh goes with one lease, and without --json.');
  }
  const duration = parseDuration(options) ?? DEFAULT_DURATION;
  return withSession(context, async (session) => {
    const outcome = await withProgress(context, 'choosing a key', async (progress) => {
      const key = await chooseKey(session, {
        file: options.key,
        withPassword: options.password === true,
        forAnother: options.for !== undefined,
      });
      return obtain(session, { body: { ...duration, ...describe(options, key) }, idempotencyKey: options.idempotencyKey, progress }, key);
    });
    report(session, outcome, options);
    const [lease] = outcome.leases;
    if (!options.ssh || !lease) {
      return 0;
    }
    const open = await withProgress(context, 'waiting for the account', (progress) => waitForAccess(session, lease, progress));
    return runSsh(session, { leaseId: open.id, target: open.gateway ?? open.access }, []);
  });
}

function describe(options: RentOptions, key: KeyChoice): RentRequest {
  const requirements = { cpus: options.cpus, memory_mb: options.memoryMb, labels: options.label };
  return {
    ...(options.count === undefined ? {} : { count: options.count }),
    ...(Object.values(requirements).some((value) => value !== undefined) ? { requirements } : {}),
    ...(key.publicKey === undefined ? {} : { ssh_public_key: key.publicKey }),
    ...(options.password ? { with_password: true } : {}),
    ...(options.checkpoint === false ? { checkpoint: false } : {}),
    ...(options.for === undefined ? {} : { client_id: options.for }),
  };
}

interface Asking {
  body: RentRequest;
  idempotencyKey: string | undefined;
  progress: Progress;
}

interface RentOutcome extends Rented {
  text: string;
  replayed: boolean;
}

/** Sends the rent and waits for the accounts. All repetitions have the same key, so that a lost answer makes no second lease. */
async function obtain(session: Session, { body, progress, ...request }: Asking, key: KeyChoice): Promise<RentOutcome> {
  const idempotencyKey = request.idempotencyKey ?? randomUUID();
  progress.step('asking for a machine, and waiting for the account on it');
  const answer = await postRent(session, { body, progress, idempotencyKey });
  const rented = answer.data;
  if (key.privateKeyFile !== undefined) {
    for (const lease of rented.leases) {
      await session.store.rememberLeaseKey(session.api.server, lease, key.privateKeyFile);
    }
  }
  if (answer.status !== 202) {
    return { ...rented, text: answer.text, replayed: answer.replayed };
  }
  const leases: Lease[] = [];
  for (const lease of rented.leases) {
    leases.push(await whenReady(session, lease, progress));
  }
  return { leases, password: rented.password, text: JSON.stringify({ leases, password: rented.password }), replayed: answer.replayed };
}

async function postRent(
  { api }: Session,
  { body, progress, idempotencyKey }: Asking & { idempotencyKey: string },
): Promise<ApiAnswer<Rented>> {
  try {
    return await api.call((orion) => orion['/api/rent'].POST({ body, headers: { 'idempotency-key': idempotencyKey } }), {
      timeoutMs: TIMEOUT_MS,
      onRetry: (_reason, attempt) => progress.step(`the connection broke, asking again with the same key (${attempt} of ${MAX_ATTEMPTS})`),
    });
  } catch (error) {
    if (error instanceof NoAnswerError) {
      const hint = `Whether it was leased is unknown. The same command with --idempotency-key ${idempotencyKey} makes no second lease.`;
      throw new NoAnswerError(api.server, error.cause, hint);
    }
    throw error;
  }
}

/** Waits for the account and returns the lease without its history, which only a request for the single lease returns. */
async function whenReady(session: Session, lease: Lease, progress: Progress): Promise<Lease> {
  const open = await waitForAccess(session, lease, progress);
  const detail = await fetchLease(session, open.id);
  return Object.fromEntries(Object.entries(detail).filter(([name]) => name !== 'events' && name !== 'placements')) as unknown as Lease;
}

function report({ out }: Session, { leases, password, text, replayed }: RentOutcome, options: RentOptions): void {
  if (out.json) {
    out.document(text);
    return;
  }
  leases.forEach((lease) => printLease(out, lease));
  if (password !== null) {
    out.line(`  password ${password}`);
    out.note('The password is shown this once and stored nowhere.');
  } else if (options.password && replayed) {
    out.warn(
      'The password was in an answer that got lost, and is stored nowhere. Log in with your key, or release the lease and rent again.',
    );
  }
  const [first] = leases;
  if (first && !options.ssh) {
    out.next(`orion ssh ${first.id}`, `orion extend ${first.id} --hours 1`, `orion release ${first.id}`);
  }
}
