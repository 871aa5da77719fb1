import { messageOf } from '../../lib/errors';
import { type CallHome, countCallers, nextInterval } from '../../modules/nodes';
import type { FlowContext } from '../support/context';

export interface ScheduleSettings {
  intervalSeconds: number;
  idleSeconds: number;
  /** Limit for the heartbeats of the whole fleet. */
  heartbeatsPerSecond: number;
}

/** The interval in the answer to an agent, and the silence after which its node is overdue. */
interface Told {
  intervalSeconds: number;
  overdueSeconds: number;
}

/** Computes when each agent sends its next heartbeat. Each API replica has its own. */
export interface HeartbeatSchedule {
  next(call: CallHome): Told;
}

/** Fleets do not grow by thousands of nodes in this time. */
const COUNT_AGAIN_MS = 30_000;

/**
 * Creates a heartbeat schedule. It counts the fleet every 30 s in the background. Until the first count, the size of the fleet has no
 * effect.
 */
export function createHeartbeatSchedule(
  { db, clock, logger, settings }: FlowContext,
  { intervalSeconds, idleSeconds, heartbeatsPerSecond }: ScheduleSettings,
): HeartbeatSchedule {
  let fleetSeconds = 0;
  let countedAt = -Infinity;
  const count = async (): Promise<void> => {
    try {
      fleetSeconds = (await countCallers(db)) / heartbeatsPerSecond;
    } catch (error) {
      logger.warn('the fleet could not be counted', { reason: messageOf(error) });
    }
  };
  return {
    next: (call) => {
      if (clock.monotonicMs() - countedAt > COUNT_AGAIN_MS) {
        countedAt = clock.monotonicMs();
        void count();
      }
      const told = nextInterval({ intervalSeconds, idleSeconds, fleetSeconds }, call);
      return { intervalSeconds: told, overdueSeconds: (settings.heartbeatOverdueSeconds * told) / intervalSeconds };
    },
  };
}
