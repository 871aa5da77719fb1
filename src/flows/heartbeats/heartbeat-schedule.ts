import { messageOf } from '../../lib/errors';
import { type CallHome, countCallers, nextInterval } from '../../modules/nodes';
import type { FlowContext } from '../support/context';

export interface ScheduleSettings {
  intervalSeconds: number;
  idleSeconds: number;
  /** Of the whole fleet, together. */
  heartbeatsPerSecond: number;
}

/** What an agent is told, and how long it may be silent then. */
interface Told {
  intervalSeconds: number;
  overdueSeconds: number;
}

/** Tells agents when to call again, in one replica. */
export interface HeartbeatSchedule {
  next(call: CallHome): Told;
}

/** Fleets do not grow by thousands within it. */
const COUNT_AGAIN_MS = 30_000;

/** Counts the fleet now and then, beside the calls; until the first count it counts for nothing. */
export function createHeartbeatSchedule({ db, clock, logger, settings }: FlowContext, { intervalSeconds, idleSeconds, heartbeatsPerSecond }: ScheduleSettings): HeartbeatSchedule {
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
