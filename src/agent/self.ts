import { hostname } from 'node:os';
import type { Clock } from '../lib/clock';
import { readAddresses, readFacts, readHostKey } from './facts';
import { createSelfNews } from './self-news';
import type { RegisterBody, SelfReport } from './wire';

/** What the settings say of the machine. */
export interface SelfSettings {
  hostname: string;
  /** The name is the machine's own, and changes with it. */
  followsHostname: boolean;
  sshPort: number;
  address: string | undefined;
  hostKeyFile: string;
  labels: Record<string, string>;
  uidRange: string | undefined;
  cpus: number | undefined;
  memoryMb: number | undefined;
}

/** This machine as the control plane is told of it. */
export interface Self {
  describe(): Promise<RegisterBody>;
  /** As it was described last. */
  registered(): void;
  /** What a heartbeat has to tell of it; undefined: nothing changed. */
  news(): Promise<SelfReport | undefined>;
  answered(accepted: boolean | undefined): void;
  /** Whether the addresses of its interfaces changed since this was asked last. */
  hasMoved(): boolean;
}

export function createSelf(settings: SelfSettings, clock: Pick<Clock, 'monotonicMs'>): Self {
  const news = createSelfNews(clock);
  let addresses = readAddresses();
  let described: SelfReport | undefined;
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
    answered: (accepted) => news.answered(accepted),
    hasMoved: () => {
      const before = addresses;
      addresses = readAddresses();
      return addresses !== before;
    },
  };
}
