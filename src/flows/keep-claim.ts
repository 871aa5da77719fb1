import { messageOf } from '../lib/errors';
import type { FlowContext } from './context';

/** The claim went to another process, or may have: whatever was being done must stop and settle nothing. */
export class ClaimLostError extends Error {
  override name = 'ClaimLostError';
}

/**
 * Does `work` while renewing its claim. When the claim is lost (`renew` gives false), or could not be renewed before it lapsed, the
 * work's signal aborts and ClaimLostError is thrown.
 */
export async function keepClaim<T>(
  ctx: Pick<FlowContext, 'clock' | 'logger' | 'settings'>,
  renew: () => Promise<boolean>,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { claimSeconds } = ctx.settings;
  const lost = new AbortController();
  const done = new AbortController();
  const watch = async (): Promise<void> => {
    let renewedAt = ctx.clock.monotonicMs();
    for (;;) {
      await ctx.clock.sleep((claimSeconds * 1000) / 3, done.signal);
      if (done.signal.aborted) {
        return;
      }
      const held = await renew().catch((error: unknown) => {
        ctx.logger.warn('a claim could not be renewed', { reason: messageOf(error) });
        return ctx.clock.monotonicMs() - renewedAt < claimSeconds * 1000 ? undefined : false;
      });
      if (held === false) {
        lost.abort(new ClaimLostError('the claim was lost'));
        return;
      }
      renewedAt = held ? ctx.clock.monotonicMs() : renewedAt;
    }
  };
  const watching = watch();
  try {
    return await work(lost.signal);
  } catch (error) {
    throw lost.signal.aborted ? new ClaimLostError('the claim was lost', { cause: error }) : error;
  } finally {
    done.abort();
    await watching;
  }
}
