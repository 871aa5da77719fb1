import type { Clock } from '../../../lib/clock';
import { OrionError } from '../../../lib/errors';
import type { Logger } from '../../../lib/logger';
import type { ContainerInfo, Engine } from '../engine';
import type { Obstacle, ScaleDriver, ScaledService } from '../types';
import { cloneOf, LABEL, numberOf, whyNotCloned } from './clone';
import { createDepartures, isUp } from './departures';
import { measureReplicas } from './measure';

export interface DriverDeps {
  engine: Engine;
  /** Name of the compose project, or of the stack. */
  project: string;
  clock: Clock;
  logger: Logger;
}

const restarts = ({ HostConfig }: ContainerInfo): boolean => !['', 'no', undefined].includes(HostConfig.RestartPolicy?.Name);

export interface Judged {
  serving: ContainerInfo[];
  /**
   * Replicas that this driver is stopping. It first turned off their restart policy, unlike that of the others. This mark survives the
   * process that made it.
   */
  leaving: ContainerInfo[];
  obstacle: Obstacle | null;
}

/**
 * Sorts the containers of a service into serving and leaving ones, and finds the obstacle. Containers that somebody stopped do not count.
 * Pure.
 */
export function judgeContainers(containers: ContainerInfo[]): Judged {
  const marked = containers.some(restarts) ? containers.filter((container) => !restarts(container)) : [];
  const others = containers.filter((container) => !marked.includes(container));
  const serving = others.filter(isUp);
  return {
    serving,
    leaving: marked,
    obstacle: findObstacle(serving, { restarting: others.some(({ State }) => State.Restarting), draining: marked.some(isUp) }),
  };
}

function findObstacle(serving: ContainerInfo[], { restarting, draining }: { restarting: boolean; draining: boolean }): Obstacle | null {
  const made = new Set(serving.map(({ Config, Image }) => `${Config.Labels[LABEL.configHash] ?? ''} ${Image}`));
  const found: [Obstacle, boolean][] = [
    ['paused', serving.some(({ State }) => State.Paused)],
    ['draining', draining],
    ['updating', made.size > 1],
    ['starting', restarting || serving.some(({ State }) => State.Health?.Status === 'starting')],
    ['no_replica', serving.length === 0],
    ['foreign', serving.some((container) => whyNotCloned(container) !== null)],
  ];
  return found.find(([, holds]) => holds)?.[0] ?? null;
}

/** Creates the driver for compose. It makes replicas as compose does: `docker-compose ps` shows them, and `up` treats them as its own. */
export function createComposeDriver({ engine, project, clock, logger }: DriverDeps): ScaleDriver {
  const list = (service: ScaledService): Promise<ContainerInfo[]> =>
    engine.listContainers([`${LABEL.project}=${project}`, `${LABEL.service}=${service}`, `${LABEL.oneOff}=False`]);
  const departures = createDepartures({ engine, clock, logger });

  const add = async (source: ContainerInfo, number: number): Promise<void> => {
    // The image name may point to a newer image by now.
    const image = (await engine.findImageId(source.Config.Image)) === source.Image ? source.Config.Image : source.Image;
    const { options, networks } = cloneOf(source, { number, image });
    const id = await engine.createContainer(options);
    try {
      for (const [network, endpoint] of networks) {
        await engine.connect(network, id, endpoint);
      }
      await engine.startContainer(id);
    } catch (error) {
      await engine.removeContainer(id);
      throw error;
    }
  };

  return {
    inspect: async (service) => {
      const { serving, obstacle } = judgeContainers(await list(service));
      return { actual: serving.length, replicas: await measureReplicas(serving, { engine, logger }), obstacle };
    },

    scale: async (service, { from, to }) => {
      const containers = await list(service);
      const { serving, obstacle } = judgeContainers(containers);
      const [newest] = serving.toSorted((a, b) => numberOf(b) - numberOf(a));
      if (serving.length !== from || obstacle !== null || newest === undefined) {
        throw new OrionError('state_conflict', `${service} has changed: ${serving.length} replicas, ${obstacle ?? 'nothing in the way'}`);
      }
      if (to < from) {
        await departures.begin(newest);
        return;
      }
      const last = Math.max(...containers.map(numberOf));
      for (let i = 1; i <= to - from; i += 1) {
        await add(newest, last + i);
      }
    },

    tidy: async (service) => departures.finish(judgeContainers(await list(service)).leaving),
  };
}
