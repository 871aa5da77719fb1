import { type Container, eventually, type Lab, runOrThrow, type Stack, startStack } from '../../../test/lab';
import { isPlaying } from '../playing';
import { openEngine } from './engine';
import { type ControlPlane, type ProxyUrls, FASTER, type Fleet, type Replica, trustOfStranger, type World } from '../world';

/** Everything as containers: compose.yaml as it is, under a name and on ports of its own; its workers are containers too. */
export function createContainers(): World {
  let stack: Stack;
  return {
    introduction: ({ dir }) => `Everything runs in containers of this machine, on a network of their own; files and logs are in ${dir}`,
    startUp: async (lab, narrator, { username, password }) => {
      const engine = await narrator.step('a Docker engine with the images is there', () => openEngine(lab));
      const parts = 'MariaDB, its tables, two APIs, two schedulers, a gateway, the autoscaler, its scale driver, and Caddy';
      stack = await narrator.step(`compose brings up ${parts}: the single way in`, () =>
        startStack(lab, { engine, settings: { ...FASTER, ORION_SCALE_DRY_RUN: 'true' } }),
      );
      await narrator.step('the first operator gets an account (orion admin create)', () =>
        stack.orion(['admin', 'create', username, '--password-stdin'], `${password}\n`),
      );
      return toControlPlane(lab, stack);
    },
    launchFleet: async (_plane, count, joinToken) => {
      await stack.workers(String(count), '--token-file', stack.keep('join-token', joinToken));
      return toFleet(stack, joinToken);
    },
  };
}

async function toControlPlane(lab: Lab, stack: Stack): Promise<ControlPlane> {
  const replicas = async (service: string): Promise<Replica[]> =>
    (await stack.containers(service)).filter(({ running }) => running).map((found) => toReplica(found));
  const apis = await replicas('api');
  const proxy: ProxyUrls = stack;
  return {
    lab,
    proxy,
    apis,
    schedulers: await replicas('scheduler'),
    addApi: async () => {
      await stack.compose('up', '-d', '--no-build', '--no-recreate', '--scale', `api=${apis.length + 1}`, 'api');
      const healthy = async (): Promise<Container[] | undefined> => {
        const found = await stack.containers('api');
        return found.length > apis.length && found.every(({ health }) => health === 'healthy') ? found : undefined;
      };
      apis.splice(
        0,
        apis.length,
        ...(await eventually(healthy, { what: 'the new API is healthy', timeoutMs: 60_000 })).map((found) => toReplica(found)),
      );
    },
    stop: () => stack.down(),
  };
}

function toReplica({ address, pid }: Container): Replica {
  return {
    url: `http://${address}:9464`,
    isProvisioning: () => isPlaying(pid),
    kill9: () => Promise.resolve(void process.kill(pid, 'SIGKILL')),
  };
}

function toFleet(stack: Stack, joinToken: string): Fleet {
  return {
    launchStranger: async () => {
      const [worker] = await stack.workers('1', '--token-file', '/dev/null', ...trustOfStranger(joinToken));
      if (!worker) {
        throw new Error('no worker was started');
      }
      return worker;
    },
    kill: async (hostname) => {
      await stack.workers('--kill', hostname);
    },
    filesOf: async (hostname, uid) => {
      const listing = await runOrThrow('sh', ['-c', 'docker export "$1" | tar -tv --numeric-owner', 'sh', `${stack.project}-${hostname}`], {
        env: stack.env,
      });
      // drwx------ 70000/70000 0 2026-11-21 20:00 home/orn-…/
      const entries = listing.split('\n').map((line) => /^\S+ +(\d+)\/\d+ +\S+ +\S+ +\S+ (.+)$/.exec(line));
      return entries.flatMap((entry) => (entry?.[1] === uid ? [`/${entry[2] ?? ''}`] : []));
    },
    start: async (hostname) => {
      await stack.workers('--start', hostname);
    },
    look: async (hostname, command) => {
      const { code, stdout, stderr } = await stack.look(hostname, command);
      if (code !== 0) {
        throw new Error(`looking into ${hostname} failed: ${stderr}`);
      }
      return stdout.trim();
    },
  };
}
