import { join } from 'node:path';
import type { Lab } from './lab';
import { projectDir } from './paths';
import { runOrThrow } from './run';

/** A Docker engine that has Orion's images. */
export interface DockerEngine {
  /** For DOCKER_HOST. */
  host: string;
  /** This process's environment with that DOCKER_HOST: for whatever talks to the engine. */
  env: NodeJS.ProcessEnv;
  /** Runs the docker command to its end and returns what it printed. */
  docker(...args: string[]): Promise<string>;
}

/** Its images, and what builds them anew, are kept for later runs. */
const ENGINE_DIR = join(projectDir, 'node_modules', '.cache', 'orion-docker');
const BUILD_MS = 1_800_000;
const STOP_MS = 120_000;
const WAIT_MS = 1_260_000;

/**
 * The engine that ORION_TEST_DOCKER_HOST names, which has the images already; or else a private one (see scripts/docker-engine.sh), in
 * which they are built first: that takes minutes the first time. One private engine runs at a time; the next one waits.
 */
export async function openDocker(lab: Lab): Promise<DockerEngine> {
  const given = process.env['ORION_TEST_DOCKER_HOST'];
  if (given) {
    return connect(given);
  }
  const script = join(projectDir, 'scripts', 'docker-engine.sh');
  await runOrThrow(script, ['start', ENGINE_DIR], { timeoutMs: WAIT_MS });
  lab.note({ kind: 'engine', dir: ENGINE_DIR });
  lab.push('docker engine', () => runOrThrow(script, ['stop', ENGINE_DIR], { timeoutMs: STOP_MS }).then(() => undefined), STOP_MS);
  const engine = connect(`unix://${ENGINE_DIR}/docker.sock`);
  for (const step of ['make-base-images.sh', 'build-images.sh']) {
    await runOrThrow(join(projectDir, 'scripts', step), [], { env: engine.env, timeoutMs: BUILD_MS });
  }
  return engine;
}

function connect(host: string): DockerEngine {
  const env = { ...process.env, DOCKER_HOST: host };
  return { host, env, docker: (...args) => runOrThrow('docker', args, { env, timeoutMs: BUILD_MS }) };
}
