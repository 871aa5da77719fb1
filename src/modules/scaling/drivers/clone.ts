import type { ContainerInfo, Endpoint, NewContainer } from '../engine';

export const LABEL = {
  project: 'com.docker.compose.project',
  service: 'com.docker.compose.service',
  oneOff: 'com.docker.compose.oneoff',
  number: 'com.docker.compose.container-number',
  configHash: 'com.docker.compose.config-hash',
  replaces: 'com.docker.compose.replace',
} as const;

export const numberOf = ({ Config }: ContainerInfo): number => Number(Config.Labels[LABEL.number] ?? 0);

export const nameOf = ({ Name }: ContainerInfo): string => Name.replace(/^\//, '');

/**
 * Returns the name of replica `number`. Compose 1 writes project_service_1, compose 2 project-service-1. Undefined: the source has a name
 * that no second replica can have. Pure.
 */
export function replicaName(source: ContainerInfo, number: number): string | undefined {
  const { [LABEL.project]: project = '', [LABEL.service]: service = '' } = source.Config.Labels;
  const separator = ['_', '-'].find((each) => nameOf(source).startsWith(`${project}${each}${service}${each}`));
  return separator && [project, service, number].join(separator);
}

/** Returns why the container cannot be cloned, or null. Two containers cannot share a port of the host or an address. Pure. */
export function whyNotCloned(source: ContainerInfo): string | null {
  const ports = Object.values((source.HostConfig.PortBindings ?? {}) as Record<string, { HostPort?: string }[] | null>).flat();
  if (ports.some((port) => !['', '0', undefined].includes(port?.HostPort))) {
    return 'it has a fixed port of the host';
  }
  if (Object.values(source.NetworkSettings.Networks).some(({ IPAMConfig }) => hasAddress(IPAMConfig))) {
    return 'it has a fixed address';
  }
  return replicaName(source, 1) === undefined ? 'it has a fixed name' : null;
}

const hasAddress = (config: unknown): boolean =>
  typeof config === 'object' && config !== null && ('IPv4Address' in config || 'IPv6Address' in config);

export interface Clone {
  options: NewContainer;
  /** Further networks, which a container can join only after it was created. */
  networks: [string, Endpoint][];
}

/**
 * Builds the options of a container that compose could have created as the next replica of `source`. Only the number, the name, and what
 * the engine made for the source alone (its id as host name and alias, addresses) differ. `image` is the image that the source runs, by
 * name or id. Pure.
 */
export function cloneOf(source: ContainerInfo, { number, image }: { number: number; image: string }): Clone {
  const name = replicaName(source, number);
  if (name === undefined) {
    throw new Error(`${nameOf(source)} is not named by compose`);
  }
  const { Hostname, ...config } = source.Config;
  const ownHostname = source.Id.startsWith(Hostname);
  const endpoints = Object.entries(source.NetworkSettings.Networks).map(([network, endpoint]): [string, Endpoint] => [
    network,
    cloneEndpoint(source, endpoint as Endpoint, name),
  ]);
  const first = endpoints.find(([network]) => network === source.HostConfig.NetworkMode) ?? endpoints[0];
  const labels = Object.fromEntries(Object.entries(config.Labels).filter(([label]) => label !== LABEL.replaces));
  return {
    options: {
      ...(config as object),
      name,
      Hostname: ownHostname ? undefined : Hostname,
      Image: image,
      MacAddress: undefined,
      Labels: { ...labels, [LABEL.number]: String(number) },
      HostConfig: source.HostConfig,
      NetworkingConfig: { EndpointsConfig: first ? Object.fromEntries([first]) : {} },
    },
    networks: endpoints.filter((endpoint) => endpoint !== first),
  };
}

/** Leaves out the source's id as an alias: the engine adds the new container's own id. */
function cloneEndpoint(source: ContainerInfo, { Aliases, Links, DriverOpts }: Endpoint, name: string): Endpoint {
  const aliases = (Aliases ?? []).filter((alias) => !source.Id.startsWith(alias)).map((alias) => (alias === nameOf(source) ? name : alias));
  return { Aliases: [...new Set(aliases)], Links: Links ?? undefined, DriverOpts: DriverOpts ?? undefined };
}
