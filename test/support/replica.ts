import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { breakLog, type BrokenLog, createStepControl, type DatabaseProxy, freePort, type Lab, type OrionProcess, projectDir, startDatabaseProxy, startOrion, type StepControl } from '../lab';

export interface ReplicaFaults {
  /** A proxy of its own between the replica and the database. */
  proxy?: boolean;
  /** It stands still at each step of its flows until it is told to go on; without being asked to hold it is told so at once. */
  steps?: boolean;
  /** Plays are answered at once, in the process, and leave files in a folder instead of accounts on nodes: see lab/preload/instant-plays.mjs. */
  instantPlays?: boolean;
  /** Its log cannot be written. */
  log?: BrokenLog;
}

export interface ReplicaOptions {
  /** Default: any that is free. */
  port?: number | undefined;
  env: Record<string, string>;
  faults: ReplicaFaults;
  /** Another program than the one under test: of the release before, or after. */
  programDir?: string | undefined;
}

export type ReplicaRole = 'api' | 'scheduler' | 'gateway';

/** One process of the built program, with what was asked for to interfere with it. */
export interface Replica extends OrionProcess {
  /** Folder of its full disk, as this process sees it. */
  disk: string | undefined;
  proxy: DatabaseProxy | undefined;
  steps: StepControl | undefined;
}

const preload = (name: string): string[] => ['--import', pathToFileURL(join(projectDir, 'test', 'lab', 'preload', name)).href];

/** Where instant plays leave their nodes: a folder `node-<id>` each. */
export const instantNodesDir = (lab: Lab): string => join(lab.dir, 'instant-nodes');

export async function startReplica(lab: Lab, role: ReplicaRole, { port, env, faults, programDir }: ReplicaOptions): Promise<Replica> {
  const at = port ?? (await freePort());
  const proxy = faults.proxy ? await startDatabaseProxy(lab, { host: env['ORION_DB_HOST'] ?? '', port: Number(env['ORION_DB_PORT']) }) : undefined;
  const steps = faults.steps ? await createStepControl(lab) : undefined;
  if (faults.instantPlays) {
    mkdirSync(instantNodesDir(lab), { recursive: true });
  }
  const broken = faults.log && breakLog(lab, faults.log);
  const started = await startOrion(lab, role, {
    port: at,
    wrapper: broken?.command ?? [],
    programDir,
    env: {
      ...env,
      ...(proxy ? { ORION_DB_HOST: proxy.host, ORION_DB_PORT: String(proxy.port) } : {}),
      ...steps?.env,
      ...(faults.instantPlays ? { ORION_LAB_INSTANT_PLAYS: instantNodesDir(lab), ORION_WARM_PLAYS: 'false' } : {}),
      [role === 'api' ? 'ORION_HTTP_PORT' : 'ORION_OPS_PORT']: String(at),
    },
    nodeArgs: [...(steps ? preload('steps.mjs') : []), ...(faults.instantPlays ? preload('instant-plays.mjs') : [])],
  });
  return { ...started, proxy, steps, disk: broken && `/proc/${started.pid}/root${broken.disk}` };
}
