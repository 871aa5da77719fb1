import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  breakLog,
  type BrokenLog,
  createStepControl,
  type DatabaseProxy,
  freePort,
  type Lab,
  type OrionProcess,
  projectDir,
  startDatabaseProxy,
  startOrion,
  type StepControl,
} from '../lab';

export interface ReplicaFaults {
  /** Puts a proxy between the replica and the database, for this replica alone. */
  proxy?: boolean;
  /** The replica stops at each failpoint until the test lets it continue. A failpoint that no test armed continues at once. */
  steps?: boolean;
  /**
   * Plays return at once, inside the process, and leave files in a folder instead of accounts on nodes: see lab/preload/instant-plays.mjs.
   */
  instantPlays?: boolean;
  /** Makes the replica's log unwritable. */
  log?: BrokenLog;
}

export interface ReplicaOptions {
  /** Default: any free port. */
  port?: number | undefined;
  env: Record<string, string>;
  faults: ReplicaFaults;
  /** Another build of the program than the one under test: of the previous release, or the next. */
  programDir?: string | undefined;
}

export type ReplicaRole = 'api' | 'scheduler' | 'gateway';

/** A process of the built program, with the requested means of fault injection. */
export interface Replica extends OrionProcess {
  /** Folder of the replica's full disk, in the mount namespace of its process. */
  disk: string | undefined;
  proxy: DatabaseProxy | undefined;
  steps: StepControl | undefined;
}

const preload = (name: string): string[] => ['--import', pathToFileURL(join(projectDir, 'test', 'lab', 'preload', name)).href];

/** The folder of instant plays, with a folder `node-<id>` for each node. */
export const instantNodesDir = (lab: Lab): string => join(lab.dir, 'instant-nodes');

export async function startReplica(lab: Lab, role: ReplicaRole, { port, env, faults, programDir }: ReplicaOptions): Promise<Replica> {
  const at = port ?? (await freePort());
  const proxy = faults.proxy
    ? await startDatabaseProxy(lab, { host: env['ORION_DB_HOST'] ?? '', port: Number(env['ORION_DB_PORT']) })
    : undefined;
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
