import { join } from 'node:path';
import type { Lab } from './lab';
import { projectDir } from './paths';
import { runOrThrow } from './run';

/** A Docker engine that has Orion's images. */
export interface DockerEngine {
  /** Value for DOCKER_HOST. */
  host: string;
  /** This process's environment with that DOCKER_HOST, for programs that use the engine. */
  env: NodeJS.ProcessEnv;
  /** Runs a docker command and returns its output. Throws when it fails. */
  docker(...args: string[]): Promise<string>;
}

/** Folder of the private engine. Its images and build cache are kept for later runs. */
const ENGINE_DIR = join(projectDir, 'node_modules', '.cache', 'orion-docker');
const BUILD_MS = 1_800_000;
const STOP_MS = 120_000;
const WAIT_MS = 1_260_000;

/**
 * Opens the engine that ORION_TEST_DOCKER_HOST names, which must have the images. Without that setting, it starts a private engine (see
 * scripts/docker-engine.sh) and builds the images there, which takes minutes the first time. Only one private engine runs at a time; the
 * next caller waits.
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
