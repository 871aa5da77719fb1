import { hostname } from 'node:os';
import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import { readAddresses, readFacts, readHostKey } from './facts';
import { createSelfNews } from './self-news';
import type { RegisterBody, SelfReport } from './wire';

/** Settings that describe the machine. */
export interface SelfSettings {
  hostname: string;
  /** The name comes from the operating system, and changes with it. */
  followsHostname: boolean;
  sshPort: number;
  address: string | undefined;
  hostKeyFile: string;
  labels: Record<string, string>;
  uidRange: string | undefined;
  cpus: number | undefined;
  memoryMb: number | undefined;
}

/** Describes this machine to the control plane. */
export interface Self {
  describe(): Promise<RegisterBody>;
  /** Records that the control plane accepted a registration with the last description. */
  registered(): void;
  /** Returns what the next heartbeat must report about the machine, or undefined when nothing changed. */
  news(): Promise<SelfReport | undefined>;
  answered(accepted: boolean | undefined): void;
  /** Whether the addresses of the machine's interfaces changed since the last call of this method. */
  hasMoved(): boolean;
}

export function createSelf(settings: SelfSettings, { clock, logger }: { clock: Pick<Clock, 'monotonicMs'>; logger: Logger }): Self {
  const news = createSelfNews(clock);
  let addresses = readAddresses();
  let described: SelfReport | undefined;
  let isRefused = false;
  const report = async (): Promise<SelfReport> => ({
    hostname: settings.followsHostname ? hostname() : settings.hostname,
    ssh_port: settings.sshPort,
    ...(settings.address === undefined ? {} : { address: settings.address }),
    labels: settings.labels,
    facts: await readFacts(settings),
  });
  return {
    describe: async () => {
      described = await report();
      return { ...described, host_key: await readHostKey(settings.hostKeyFile), uid_range: settings.uidRange };
    },
    registered: () => {
      if (described) {
        news.registered(described);
      }
    },
    news: async () => news.pick(await report(), readAddresses()),
    answered: (accepted) => {
      if (accepted === false && !isRefused) {
        logger.warn(
          'what changed about this machine does not count yet: nobody answers at its new address, or its name is no host name (set MY_HOSTNAME)',
          { hostname: hostname(), addresses },
        );
      }
      isRefused = accepted === undefined ? isRefused : !accepted;
      news.answered(accepted);
    },
    hasMoved: () => {
      const before = addresses;
      addresses = readAddresses();
      return addresses !== before;
    },
  };
}
