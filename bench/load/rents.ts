import { systemClock } from '../../src/lib/clock';
import { createHistogram, type Histogram, record } from '../../test/load/histogram';
import type { Tenant } from '../../test/support/tenant';

export interface RentFigures {
  rented: number;
  /** Answered otherwise, or not at all. */
  failed: number;
  /** From the moment at which it was to begin until its answer, in milliseconds. */
  answers: Histogram;
}

const MAX_AT_ONCE = 200;

/** Rents `perSecond` machines a second, each by the next tenant, and releases each when it is there; until `signal` aborts. */
export async function rentAtRate(tenants: readonly Tenant[], perSecond: number, signal: AbortSignal): Promise<RentFigures> {
  const figures: RentFigures = { rented: 0, failed: 0, answers: createHistogram() };
  const running = new Set<Promise<void>>();
  const beganAt = systemClock.monotonicMs();
  const over = (): boolean => signal.aborted;
  for (let nth = 0; !over(); nth += 1) {
    const dueMs = beganAt + (nth * 1000) / perSecond;
    await systemClock.sleep(Math.max(0, dueMs - systemClock.monotonicMs()), signal);
    const tenant = tenants[nth % tenants.length];
    if (tenant && !over()) {
      const rent = rentAndRelease(tenant, dueMs, figures)
        .catch(() => void (figures.failed += 1))
        .finally(() => running.delete(rent));
      running.add(rent);
    }
    if (running.size >= MAX_AT_ONCE) {
      await Promise.race(running);
    }
  }
  await Promise.all(running);
  return figures;
}

async function rentAndRelease(tenant: Tenant, dueMs: number, figures: RentFigures): Promise<void> {
  const { id } = await tenant.rentOne();
  record(figures.answers, systemClock.monotonicMs() - dueMs);
  figures.rented += 1;
  await tenant.release(id);
}
