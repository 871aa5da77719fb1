import { OrionError } from '../../lib/errors';
import { traced } from '../../lib/trace';
import { generateAccountPassword } from '../../modules/accounts';
import { isRunning, listLeasesOfRents } from '../../modules/leases';
import type { WorkContext } from '../support/context';
import type { RentRequest, Reserved } from './rent-request';
import type { Reserve } from './reserve';
import { runPlacement } from '../placements/run-placement';
import { failpoint } from '../support/failpoints';
import { type LeaseView, viewLeases } from '../leases/view-lease';

export interface RentOutcome {
  leases: LeaseView[];
  /** Shown this once; null when none was asked for or the rent is a repetition. */
  password: string | null;
  replayed: boolean;
  /** False: some account is still being made; the schedulers finish it. */
  complete: boolean;
}

/**
 * Rents `count` nodes, all or nothing: commits lease, node and placement first, then makes the accounts present, then answers. Were this
 * process to die in between, a scheduler finishes; the client repeats with its key and gets the same leases.
 *
 * Throws no_node_free (with Retry-After), quota_exceeded, duration_too_long, idempotency_key_reused, provisioning_failed.
 */
export const rentNodes = traced(
  'rent-nodes',
  async (ctx: WorkContext & { reserve: Reserve }, request: RentRequest): Promise<RentOutcome> => {
    failpoint('rent.begin');
    const secret = request.withPassword ? await generateAccountPassword() : null;
    const reservation = await ctx.reserve({ ...request, passwordHash: secret?.hash ?? null });
    failpoint('rent.reserved');
    const work = Promise.all(reservation.reserved.map(({ placement, lease, node }) => runPlacement(ctx, placement, { lease, node })));
    work.catch((error: unknown) => ctx.logger.error('a rent was left to the schedulers', { rentId: reservation.rentId, error }));
    const waits = ctx.settings.rentWaitSeconds > 0 || reservation.replayed;
    const leases = waits ? await waitForAccounts(ctx, reservation.rentId, work) : viewCommitted(ctx, request, reservation.reserved);
    failpoint('rent.answering');
    if (leases.some(({ lease }) => lease.state === 'failed')) {
      throw new OrionError(
        'provisioning_failed',
        'No account could be made on the nodes that were free, and nothing was leased. Try again with a new Idempotency-Key.',
        { retryAfterSeconds: 10 },
      );
    }
    return {
      leases,
      password: reservation.replayed ? null : (secret?.password ?? null),
      replayed: reservation.replayed,
      complete: leases.every(({ lease }) => lease.state !== 'provisioning'),
    };
  },
);

/** As it was committed, for a caller who waits for nothing more: what he is told need not be read again. */
function viewCommitted({ settings }: WorkContext, { checkpoint: enabled }: RentRequest, reserved: Reserved[]): LeaseView[] {
  return reserved.map(({ lease, node }) => {
    const checkpoint = settings.checkpoints && { leaseId: lease.id, enabled, archives: [], lastAt: null, ageSeconds: null, error: null };
    return { lease, node, placement: null, checkpoint };
  });
}

const POLL_MS = 200;

/** Waits until no lease of the rent is being provisioned, or until the caller has waited long enough. */
async function waitForAccounts(ctx: WorkContext, rentId: number, work: Promise<unknown>): Promise<LeaseView[]> {
  const deadline = ctx.clock.monotonicMs() + ctx.settings.rentWaitSeconds * 1000;
  const waiting = new AbortController();
  await Promise.race([work.catch(() => undefined), ctx.clock.sleep(ctx.settings.rentWaitSeconds * 1000, waiting.signal)]);
  waiting.abort();
  for (;;) {
    const leases = await listLeasesOfRents(ctx.db, [rentId]);
    const pending = leases.some(({ state }) => isRunning(state) && state === 'provisioning');
    if (!pending || ctx.clock.monotonicMs() >= deadline) {
      return viewLeases(ctx.db, leases);
    }
    await ctx.clock.sleep(POLL_MS);
  }
}
