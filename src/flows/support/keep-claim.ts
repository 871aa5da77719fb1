import { messageOf } from '../../lib/errors';
import type { FlowContext } from './context';

/** The claim went to another process, or may have: whatever was being done must stop and settle nothing. */
export class ClaimLostError extends Error {
  override name = 'ClaimLostError';
}

/**
 * Does `work` while renewing its claim. When the claim is lost (`renew` gives false), or could not be renewed before it expired, the
 * work's signal aborts and ClaimLostError is thrown.
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
