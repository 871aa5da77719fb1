import { join } from 'node:path';
import { eventually } from './eventually';
import type { Lab } from './lab';
import { programDir } from './paths';
import { freePort } from './ports';
import { childCoverageEnv, childProfileArgs, startProcess, type LabProcess } from './process';

export interface OrionOptions {
  /** The complete configuration. It must also contain the port. */
  env: Record<string, string>;
  /** Port of /readyz on 127.0.0.1: the API's port, or the operations port of another role. */
  port: number;
  readyTimeoutMs?: number;
  /** Folder of the built program. Default: the program under test. */
  programDir?: string | undefined;
  /** Arguments of node itself, which load code before the program. */
  nodeArgs?: string[];
  /** A command that starts node with its arguments. */
  wrapper?: string[];
}

export interface OrionProcess extends LabProcess {
  role: string;
  /** `http://127.0.0.1:port`, no trailing slash. */
  url: string;
  /** URL of an API's port for agents. */
  agentsUrl: string;
  /** URL of /metrics, which an API serves on a separate port. */
  opsUrl: string;
}

/** Starts `node dist/main.js --role=<role>` and waits until it reports ready. Throws with its log when it does not. */
export async function startOrion(lab: Lab, role: string, options: OrionOptions): Promise<OrionProcess> {
  const url = `http://127.0.0.1:${options.port}`;
  const beside = await portsBeside(options.port);
  const isApi = role.split(',').includes('api');
  const folder = options.programDir ?? programDir;
  const child = startProcess(lab, {
    name: `orion-${role.replaceAll(',', '-')}`,
    command: 'env',
    args: [
      ...(options.wrapper ?? []),
      process.execPath,
      ...(options.nodeArgs ?? []),
      ...childProfileArgs(),
      '--enable-source-maps',
      join(folder, 'dist', 'main.js'),
      `--role=${role}`,
    ],
    env: {
      ...childCoverageEnv(),
      ...(isApi && { ORION_AGENTS_PORT: String(beside.agents), ORION_OPS_PORT: String(beside.ops) }),
      ...options.env,
    },
    cwd: folder,
  });
  const isReady = async (): Promise<boolean> => {
    if (!child.running()) {
      return true;
    }
    return (await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2000) })).ok;
  };
  try {
    await eventually(isReady, { what: `${role} is ready`, timeoutMs: options.readyTimeoutMs ?? 60_000 });
  } catch (error) {
    throw new Error(`${role} did not become ready: ${child.log().slice(-4000)}`, { cause: error });
  }
  if (!child.running()) {
    throw new Error(`${role} ended at once: ${child.log().slice(-4000)}`);
  }
  return { ...child, role, url, agentsUrl: `http://127.0.0.1:${beside.agents}`, opsUrl: isApi ? `http://127.0.0.1:${beside.ops}` : url };
}

/** The two further ports of an API: one for agents, one for operations. */
export interface PortsBeside {
  agents: number;
  ops: number;
}

const known = new Map<number, Promise<PortsBeside>>();

/** Returns the further ports of the API at `port`. They stay the same after a restart at that port. */
export function portsBeside(port: number): Promise<PortsBeside> {
  const found = known.get(port) ?? Promise.all([freePort(), freePort()]).then(([agents, ops]) => ({ agents, ops }));
  known.set(port, found);
  return found;
}
