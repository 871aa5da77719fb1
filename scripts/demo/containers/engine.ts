import { join } from 'node:path';
import { type DockerEngine, type Lab, projectDir, run, runOrThrow, openDocker } from '../../../test/lab';

const BUILD_MS = 1_800_000;

/** The engine of this machine, or else one of the demo's own; with the images, which are built when they are missing. */
export async function openEngine(lab: Lab): Promise<DockerEngine> {
  const host = process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock';
  const env = { ...process.env, DOCKER_HOST: host };
  const { code } = await run('docker', ['version'], { env });
  if (process.env['ORION_TEST_DOCKER_HOST'] !== undefined || code !== 0) {
    return openDocker(lab);
  }
  const images = await run('docker', ['image', 'inspect', 'orion:local', 'orion-worker:local'], { env });
  if (images.code !== 0) {
    await runOrThrow(join(projectDir, 'scripts', 'build-images.sh'), [], { env, timeoutMs: BUILD_MS });
  }
  return { host, env, docker: (...args) => runOrThrow('docker', args, { env, timeoutMs: BUILD_MS }) };
}
