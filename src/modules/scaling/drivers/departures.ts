import type { Clock } from '../../../lib/clock';
import { messageOf } from '../../../lib/errors';
import type { Logger } from '../../../lib/logger';
import type { ContainerInfo, Engine } from '../engine';
import { nameOf } from './clone';

/** Docker's default stop grace period when the container has none. */
const DEFAULT_GRACE_SECONDS = 10;
const SLACK_SECONDS = 15;

export const isUp = ({ State }: ContainerInfo): boolean => State.Running && State.Status !== 'restarting';

const graceOf = ({ Config }: ContainerInfo): number => Config.StopTimeout ?? DEFAULT_GRACE_SECONDS;

/** Stops containers and then removes them. A stop takes as long as the container's work, and no caller waits for it. */
export interface Departures {
  /** Marks the container as leaving, so that any later process knows it, and stops it. */
  begin(container: ContainerInfo): Promise<void>;
  /** Removes the containers that have stopped, and returns their names. */
  finish(leaving: ContainerInfo[]): Promise<string[]>;
}

export function createDepartures({ engine, clock, logger }: { engine: Engine; clock: Clock; logger: Logger }): Departures {
  const toldAtMs = new Map<string, number>();

  const tell = (container: ContainerInfo): void => {
    toldAtMs.set(container.Id, clock.monotonicMs());
    engine.stopContainer(container.Id, graceOf(container)).catch((error: unknown) => {
      logger.warn('a replica could not be stopped', { replica: nameOf(container), reason: messageOf(error) });
    });
  };

  /**
   * Whether a marked container must be stopped again. It gets one signal only, because a second one would cut its work short. But the
   * process that marked it may have died before it sent the signal.
   */
  const wasForgotten = (container: ContainerInfo): boolean => {
    const sinceMs = toldAtMs.get(container.Id) ?? clock.monotonicMs();
    toldAtMs.set(container.Id, sinceMs);
    return clock.monotonicMs() - sinceMs > (graceOf(container) + SLACK_SECONDS) * 1000;
  };

  return {
    begin: async (container) => {
      await engine.keepDown(container.Id);
      tell(container);
    },
    finish: async (leaving) => {
      leaving.filter((container) => isUp(container) && wasForgotten(container)).forEach(tell);
      const over = leaving.filter((container) => !isUp(container));
      for (const { Id } of over) {
        await engine.removeContainer(Id);
        toldAtMs.delete(Id);
      }
      return over.map(nameOf);
    },
  };
}
