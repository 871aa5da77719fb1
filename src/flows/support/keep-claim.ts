import { messageOf } from '../../lib/errors';
import type { FlowContext } from './context';

/** Another process has, or may have, taken the claim. The work must stop, and must neither complete nor fail the claim. */
export class ClaimLostError extends Error {
  override name = 'ClaimLostError';
}

/**
 * Runs `work` and renews its claim meanwhile. If the claim is lost (`renew` returns false), or could not be renewed before it expired, the
 * signal of `work` aborts and ClaimLostError is thrown.
 */
export async function keepClaim<T>(
  ctx: Pick<FlowContext, 'clock' | 'logger' | 'settings'>,
  renew: () => Promise<boolean>,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const claimMs = ctx.settings.claimSeconds * 1000;
  const lost = new AbortController();
  let renewedAt = ctx.clock.monotonicMs();
  let renewing: Promise<void> | undefined;
  let over = false;
  let cancel = (): void => undefined;
  const renewLater = (): void => {
    cancel = ctx.clock.after(claimMs / 3, () => {
      renewing = renewOnce();
    });
  };
  const renewOnce = async (): Promise<void> => {
    const held = await renew().catch((error: unknown) => {
      ctx.logger.warn('a claim could not be renewed', { reason: messageOf(error) });
      return ctx.clock.monotonicMs() - renewedAt < claimMs ? undefined : false;
    });
    if (held === false) {
      lost.abort(new ClaimLostError('the claim was lost'));
      return;
    }
    renewedAt = held ? ctx.clock.monotonicMs() : renewedAt;
    if (!over) {
      renewLater();
    }
  };
  renewLater();
  try {
    return await work(lost.signal);
  } catch (error) {
    throw lost.signal.aborted ? new ClaimLostError('the claim was lost', { cause: error }) : error;
  } finally {
    over = true;
    cancel();
    await renewing;
  }
}
