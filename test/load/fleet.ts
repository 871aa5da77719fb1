import { randomBytes } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { execute } from '../../src/db/sql';
import { fingerprintOf } from '../../src/lib/host-key';
import { sha256 } from '../../src/lib/ids';
import { eventually, freePort, type Lab, type LabProcess, projectDir, startProcess } from '../lab';
import { identityOf, MAX_NODES } from './identity';
import type { SimulatorConfig, SimulatorFigures } from './simulator';

export interface FleetOptions {
  count: number;
  /** URLs of the API replicas that the agents call. Empty: the nodes answer SSH and call nobody. */
  apis: string[];
  /** The control plane's public keys, `type base64`. */
  managementKeys: string[];
  /** The agents enrol with it... */
  joinToken?: string;
  /** ...or the nodes are written straight into this database: alive, clean, free, due for probes evenly within the interval. */
  seed?: { db: Knex; probeIntervalSeconds: number };
}

export interface SimulatedFleet {
  pids: number[];
  /** As each process said a second ago at most. */
  figures(): SimulatorFigures[];
  stop(): Promise<void>;
}

const PER_PROCESS = 50_000;
/** Agents that begin in a second, all processes together: about what a fleet of 100,000 calls home in a second. */
const BEGIN_PER_SECOND = 2_000;
export const beginSeconds = (count: number): number => count / BEGIN_PER_SECOND;

/**
 * So many simulated nodes in a few processes, on addresses of 127.100.0.0 and above. They answer SSH when this resolves, and end with the
 * lab.
 */
export async function startFleet(lab: Lab, { count, apis, managementKeys, joinToken, seed }: FleetOptions): Promise<SimulatedFleet> {
  if (count > MAX_NODES) {
    throw new Error(`at most ${MAX_NODES} nodes have an address`);
  }
  const secret = randomBytes(16).toString('hex');
  const shares = await share(count);
  if (seed) {
    for (const each of shares) {
      await seedNodes(seed.db, { ...each, secret });
    }
    await beginNow(seed);
  }
  const dir = mkdtempSync(join(lab.dir, 'fleet-'));
  const processes = shares.map((each) =>
    startSimulator(lab, dir, {
      ...each,
      secret,
      apis,
      managementKeys,
      joinToken: seed ? undefined : joinToken,
      beginPerSecond: BEGIN_PER_SECOND / shares.length,
    }),
  );
  const figures = (): SimulatorFigures[] => processes.map(lastFigures);
  await eventually(() => figures().length > 0, { what: 'the simulated nodes answer', timeoutMs: 60_000 });
  return {
    pids: processes.map(({ pid }) => pid),
    figures,
    stop: async () => {
      await Promise.all(processes.map((each) => each.stop()));
    },
  };
}

interface Share {
  first: number;
  count: number;
  sshPort: number;
}

async function share(count: number): Promise<Share[]> {
  const shares: Share[] = [];
  for (let first = 0; first < count; first += PER_PROCESS) {
    shares.push({ first, count: Math.min(PER_PROCESS, count - first), sshPort: await freePort() });
  }
  return shares;
}

function startSimulator(lab: Lab, dir: string, config: SimulatorConfig): LabProcess {
  const file = join(dir, `${config.first}.json`);
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 });
  return startProcess(lab, {
    name: 'simulator',
    command: process.execPath,
    args: ['--import', 'tsx', join(projectDir, 'test', 'load', 'simulator.ts'), file],
    cwd: projectDir,
  });
}

function lastFigures(simulator: LabProcess): SimulatorFigures {
  const line = simulator.log().trimEnd().split('\n').at(-1) ?? '';
  try {
    return JSON.parse(line) as SimulatorFigures;
  } catch {
    throw new Error(`the simulator says no figures: ${simulator.log().slice(-2000)}`);
  }
}

const BATCH = 1_000;

async function seedNodes(db: Knex, { first, count, sshPort, secret }: Share & { secret: string }): Promise<void> {
  const row = '(?, ?, ?, ?, ?, ?, \'alive\', 0, ?, ?, ?, \'{"load1":0.1,"memory_free_mb":512,"disk_free_mb":10000}\', 70000)';
  for (let from = first; from < first + count; from += BATCH) {
    const nodes = Array.from({ length: Math.min(BATCH, first + count - from) }, (_, nth) => from + nth);
    const values = nodes.flatMap((node) => {
      const { hostname, address, hostKey, credential } = identityOf(secret, node);
      const size = 1 + (node % 8);
      return [
        hostname,
        address,
        sshPort,
        hostKey,
        fingerprintOf(hostKey),
        sha256(credential),
        size,
        1024 * size,
        JSON.stringify({ room: `lab-${node % 10}` }),
      ];
    });
    await execute(
      db,
      `INSERT INTO nodes (hostname, address, ssh_port, host_key, host_key_fingerprint, credential_hash, status, dirty, cpus, memory_mb, labels, facts, next_uid) VALUES ${nodes.map(() => row).join(',')}`,
      values,
    );
  }
}

/** Every node was heard of and looked at this moment, and is due again within the interval. */
async function beginNow({ db, probeIntervalSeconds }: NonNullable<FleetOptions['seed']>): Promise<void> {
  await execute(
    db,
    `UPDATE nodes SET last_checked_at = UTC_TIMESTAMP(3), last_heartbeat_at = UTC_TIMESTAMP(3),
            probe_due_at = TIMESTAMPADD(MICROSECOND, id * 7919 % 1000 / 1000 * ?, UTC_TIMESTAMP(3))`,
    [probeIntervalSeconds * 1e6],
  );
  await execute(db, 'ANALYZE TABLE nodes');
}
