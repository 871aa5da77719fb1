/**
 * A process full of simulated nodes: their agents and their SSH servers. Its configuration is the JSON file that is its argument; it writes
 * its figures once a second, one line of JSON each.
 */
import { readFileSync } from 'node:fs';
import { systemClock } from '../../src/lib/clock';
import { type AgentFigures, runAgents } from './agents';
import { createHistogram, type Histogram, record } from './histogram';
import { openLanes } from './lanes';
import { serveSsh, type SshFigures } from './ssh-nodes';

export interface SimulatorConfig {
  secret: string;
  first: number;
  count: number;
  sshPort: number;
  apis: string[];
  joinToken?: string | undefined;
  beginPerSecond: number;
  /** `type base64`; those that come with registrations are admitted too. */
  managementKeys: string[];
}

export interface SimulatorFigures {
  ssh: SshFigures;
  agents: AgentFigures | null;
  /** Between two moments at which a node heard of the control plane over SSH, in milliseconds; packets within half a second are one. */
  silences: Histogram;
  /** The longest that goes on now, since the node was last heard or the process began. */
  longestSilenceMs: number;
}

/** Agents have a connection each: fewer of them than wait for one batch to be written would make the batches wait for them. */
const LANES_PER_REPLICA = 1_000;
const APART_MS = 500;

async function main(config: SimulatorConfig): Promise<void> {
  const silences = createHistogram();
  const contacts = new Float64Array(config.count).fill(systemClock.monotonicMs());
  const heard = new Uint8Array(config.count);
  const onContact = (node: number): void => {
    const at = node - config.first;
    const [now, before] = [systemClock.monotonicMs(), contacts[at] ?? 0];
    if (heard[at] === 1 && now - before > APART_MS) {
      record(silences, now - before);
    }
    contacts[at] = now;
    heard[at] = 1;
  };
  const { secret, sshPort } = config;
  const ssh = await serveSsh({ secret, port: sshPort, onContact });
  config.managementKeys.forEach((key) => ssh.admit(key));
  const agents =
    config.apis.length === 0
      ? undefined
      : runAgents({
          ...config,
          joinToken: config.joinToken,
          lanes: openLanes(config.apis, LANES_PER_REPLICA),
          clock: systemClock,
          admit: (key) => ssh.admit(key),
        });
  for (;;) {
    const longestSilenceMs = systemClock.monotonicMs() - contacts.reduce((first, at) => Math.min(first, at), Infinity);
    process.stdout.write(
      `${JSON.stringify({ ssh: ssh.figures(), agents: agents?.() ?? null, silences, longestSilenceMs } satisfies SimulatorFigures)}\n`,
    );
    await systemClock.sleep(1000);
  }
}

await main(JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as SimulatorConfig);
