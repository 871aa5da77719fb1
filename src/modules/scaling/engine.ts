import Docker from 'dockerode';
import { DeadlineError, withDeadline } from '../../lib/clock';
import type { CpuReading } from './types';

/** A container as the engine describes it. The fields used here are the same from API 1.40 on. */
export type ContainerInfo = Docker.ContainerInspectInfo & { Config: { StopTimeout?: number; MacAddress?: string } };
export type ServiceInfo = Docker.Service & { Version: { Index: number } };
export type Endpoint = Docker.EndpointSettings;

export interface TaskInfo {
  NodeID?: string;
  DesiredState: string;
  Status: { State: string; ContainerStatus?: { ContainerID?: string } };
}

export interface NewContainer extends Docker.ContainerCreateOptions {
  name: string;
}

/** The calls to a Docker engine. Every call has a deadline. All throw the errors of dockerode (with `statusCode`), or DeadlineError. */
export interface Engine {
  ping(): Promise<void>;
  /** Returns undefined when there is no such container. */
  findContainer(id: string): Promise<ContainerInfo | undefined>;
  /** Lists all containers with these labels (`name=value`), including stopped ones. */
  listContainers(labels: string[]): Promise<ContainerInfo[]>;
  readCpu(containerId: string): Promise<CpuReading>;
  /** Returns the id of the image that a name points to now; undefined when there is none. */
  findImageId(name: string): Promise<string | undefined>;
  /** Creates a container and returns its id. Does not start it. */
  createContainer(options: NewContainer): Promise<string>;
  connect(network: string, containerId: string, endpoint: Endpoint): Promise<void>;
  startContainer(id: string): Promise<void>;
  /** Turns off the restart policy: the engine will not restart the container. */
  keepDown(id: string): Promise<void>;
  /**
   * Sends SIGTERM, and SIGKILL after the container's own grace period. Resolves when the container has stopped. An already stopped
   * container counts as success.
   */
  stopContainer(id: string, graceSeconds: number): Promise<void>;
  /** Removes a container with its anonymous volumes. A container that is already gone counts as success. */
  removeContainer(id: string): Promise<void>;
  /** Finds a swarm service by its full name. */
  findService(name: string): Promise<ServiceInfo | undefined>;
  updateService(id: string, version: number, spec: Docker.ServiceSpec): Promise<void>;
  listTasks(serviceId: string): Promise<TaskInfo[]>;
  /** Returns this engine's id in the swarm, and the ids of the machines that are up. */
  findNodes(): Promise<{ own: string; ready: Set<string> }>;
}

const CALL_MS = 15_000;
const STOP_SLACK_MS = 15_000;

/** The HTTP status of the engine's refusal; undefined when the error is no refusal. */
function statusOf(error: unknown): number | undefined {
  return typeof error === 'object' && error !== null && 'statusCode' in error && typeof error.statusCode === 'number'
    ? error.statusCode
    : undefined;
}

/** Returns why a call failed. Leaves out the text of the engine's answer, which can contain anything. */
export function reasonOf(error: unknown): string {
  const status = statusOf(error);
  if (status !== undefined) {
    return `it refused with status ${status}`;
  }
  if (error instanceof DeadlineError) {
    return error.message;
  }
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? `the connection failed with ${code}` : 'its answer is not as expected';
}

async function unless<T, E>(status: number, instead: E, call: Promise<T>): Promise<T | E> {
  try {
    return await call;
  } catch (error) {
    if (statusOf(error) === status) {
      return instead;
    }
    throw error;
  }
}

async function done(call: Promise<unknown>): Promise<void> {
  await call;
}

/** Opens the engine behind a socket. Connects only when it is called. */
export function openEngine(socketPath: string): Engine {
  const docker = new Docker({ socketPath });
  return { ...containersOf(docker), ...servicesOf(docker) };
}

type Call = <T>(call: (options: { abortSignal: AbortSignal }) => Promise<T>, limitMs?: number) => Promise<T>;

const timely: Call = (call, limitMs = CALL_MS) => withDeadline(limitMs, (abortSignal) => call({ abortSignal }));

type Services = Pick<Engine, 'findService' | 'updateService' | 'listTasks' | 'findNodes'>;

function containersOf(docker: Docker): Omit<Engine, keyof Services> {
  const findContainer = (id: string): Promise<ContainerInfo | undefined> =>
    unless(
      404,
      undefined,
      timely((options) => docker.getContainer(id).inspect(options) as Promise<ContainerInfo>),
    );
  return {
    ping: () => done(timely(() => docker.ping() as Promise<unknown>)),
    findContainer,
    listContainers: async (labels) => {
      const listed = await timely((options) => docker.listContainers({ all: true, filters: { label: labels }, ...options }));
      const found = await Promise.all(listed.map(({ Id }) => findContainer(Id)));
      return found.filter((container) => container !== undefined);
    },
    readCpu: async (id) => {
      const stats = await timely((options) => docker.getContainer(id).stats({ stream: false, 'one-shot': true, ...options }));
      return { usedMs: stats.cpu_stats.cpu_usage.total_usage / 1e6, atMs: Date.parse(stats.read) };
    },
    findImageId: async (name) =>
      (
        await unless(
          404,
          undefined,
          timely(() => docker.getImage(name).inspect()),
        )
      )?.Id,
    createContainer: async ({ name, ...body }) =>
      (await timely((options) => docker.createContainer({ _query: { name }, _body: body, ...options } as Docker.ContainerCreateOptions)))
        .id,
    connect: (network, id, endpoint) =>
      done(timely((options) => docker.getNetwork(network).connect({ Container: id, EndpointConfig: endpoint, ...options }))),
    startContainer: (id) => done(timely((options) => docker.getContainer(id).start(options))),
    keepDown: (id) => done(timely((options) => docker.getContainer(id).update({ RestartPolicy: { Name: 'no' }, ...options }))),
    stopContainer: (id, graceSeconds) =>
      done(
        unless(
          304,
          null,
          timely((options) => docker.getContainer(id).stop(options), graceSeconds * 1000 + STOP_SLACK_MS),
        ),
      ),
    removeContainer: (id) =>
      done(
        unless(
          404,
          null,
          timely((options) => docker.getContainer(id).remove({ force: true, v: true, ...options })),
        ),
      ),
  };
}

function servicesOf(docker: Docker): Services {
  return {
    findService: async (name) => {
      const listed = await timely((options) => docker.listServices({ filters: { name: [name] }, ...options }));
      return listed.find(({ Spec }) => Spec?.Name === name) as ServiceInfo | undefined;
    },
    updateService: (id, version, spec) =>
      done(timely((options) => docker.getService(id).update({ _query: { version }, _body: spec, ...options }) as Promise<unknown>)),
    listTasks: async (serviceId) =>
      timely((options) => docker.listTasks({ filters: { service: [serviceId] }, ...options }) as Promise<TaskInfo[]>),
    findNodes: async () => {
      const [{ Swarm }, nodes] = await Promise.all([
        timely(() => docker.info() as Promise<{ Swarm: { NodeID: string } }>),
        timely((options) => docker.listNodes(options) as Promise<{ ID: string; Status: { State: string } }[]>),
      ]);
      return { own: Swarm.NodeID, ready: new Set(nodes.filter(({ Status }) => Status.State === 'ready').map(({ ID }) => ID)) };
    },
  };
}
