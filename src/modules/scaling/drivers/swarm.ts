import { OrionError } from '../../../lib/errors';
import type { Engine, ServiceInfo, TaskInfo } from '../engine';
import type { Obstacle, ScaleDriver, ScaledService } from '../types';
import type { DriverDeps } from './compose';
import { measureReplicas } from './measure';

const ENDED = new Set(['complete', 'failed', 'shutdown', 'rejected', 'orphaned', 'remove']);
const UPDATING: Record<string, Obstacle> = {
  updating: 'updating',
  rollback_started: 'updating',
  paused: 'paused',
  rollback_paused: 'paused',
};
const ATTEMPTS = 3;

const serves = ({ DesiredState, Status }: TaskInfo): boolean => DesiredState === 'running' && Status.State === 'running';
const goes = ({ DesiredState, Status }: TaskInfo): boolean =>
  (DesiredState === 'shutdown' || DesiredState === 'remove') && !ENDED.has(Status.State);
const replicasOf = ({ Spec }: ServiceInfo): number | undefined => Spec?.Mode?.Replicated?.Replicas;

/** Returns what prevents scaling of a swarm service, or null. Tasks on machines that are down do not count. Pure. */
export function judgeService(service: ServiceInfo | undefined, tasks: TaskInfo[], ready: Set<string>): Obstacle | null {
  if (service === undefined) {
    return 'no_replica';
  }
  const wanted = replicasOf(service);
  if (wanted === undefined) {
    return 'foreign';
  }
  const actual = tasks.filter(serves).length;
  const found: [Obstacle | undefined, boolean][] = [
    [UPDATING[service.UpdateStatus?.State ?? ''], true],
    ['draining', tasks.some((task) => goes(task) && ready.has(task.NodeID ?? ''))],
    ['starting', actual !== wanted],
    ['no_replica', actual === 0],
  ];
  return found.find(([obstacle, holds]) => obstacle !== undefined && holds)?.[0] ?? null;
}

/** Creates the driver for a swarm. The swarm makes the replicas; this driver only sets their number. The engine must be a manager. */
export function createSwarmDriver({ engine, project, logger }: DriverDeps): ScaleDriver {
  const find = (service: ScaledService): Promise<ServiceInfo | undefined> => engine.findService(`${project}_${service}`);
  return {
    inspect: async (name) => {
      const service = await find(name);
      const [tasks, nodes] = await Promise.all([service ? engine.listTasks(service.ID) : [], engine.findNodes()]);
      const serving = tasks.filter(serves);
      const here = await Promise.all(serving.filter(({ NodeID }) => NodeID === nodes.own).map((task) => containerOf(engine, task)));
      const replicas = await measureReplicas(
        here.filter((container) => container !== undefined),
        { engine, logger },
      );
      return { actual: serving.length, replicas, obstacle: judgeService(service, tasks, nodes.ready) };
    },

    scale: async (name, { from, to }) => {
      for (let attempt = 1; ; attempt += 1) {
        const service = await find(name);
        if (service?.Spec === undefined || replicasOf(service) !== from) {
          const wanted = service ? String(replicasOf(service)) : 'no';
          throw new OrionError('state_conflict', `${name} has changed: it is to have ${wanted} replicas`);
        }
        try {
          await engine.updateService(service.ID, service.Version.Index, { ...service.Spec, Mode: { Replicated: { Replicas: to } } });
          return;
        } catch (error) {
          // Somebody else changed the service in between. Read it again: their change decides whether this step still makes sense.
          if (attempt === ATTEMPTS || !/out of sequence/.test(String(error))) {
            throw error;
          }
        }
      }
    },

    tidy: () => Promise.resolve([]),
  };
}

const containerOf = (engine: Engine, { Status }: TaskInfo): ReturnType<Engine['findContainer']> =>
  Status.ContainerStatus?.ContainerID === undefined ? Promise.resolve(undefined) : engine.findContainer(Status.ContainerStatus.ContainerID);
