import type { FlowContext } from './context';

/** Enough nodes are free, but other transactions are claiming them now. The next attempt either gets nodes or finds that none is left. */
export class NodesBusyError extends Error {
  override name = 'NodesBusyError';
}

const ATTEMPTS = 40;
const PAUSE_MS = 25;

/**
 * Runs `work`, a whole transaction, again for about a second while `again` returns that its failure may be temporary. Then it throws the
 * last failure unchanged.
 */
export async function whenFree<T>(
  ctx: Pick<FlowContext, 'clock'>,
  work: () => Promise<T>,
  again: (error: unknown) => boolean = isBusy,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (attempt >= ATTEMPTS || !again(error)) {
        throw error;
      }
      await ctx.clock.sleep(PAUSE_MS * (0.5 + Math.random()));
    }
  }
}

export const isBusy = (error: unknown): boolean => error instanceof NodesBusyError;
