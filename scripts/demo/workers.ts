import { type Lab, launchScript, launchWorkers, run, runOrThrow } from '../../test/lab';
import { parseWorkers, type WorkerLine } from '../../test/lab/worker-line';

/** The machines that enrol: sandboxes with their own root, accounts, sshd and agent. */
export interface Fleet {
  /** By host name, as the API tells it. */
  find(hostname: string): Promise<WorkerLine>;
  /** One more, whose agent has no join token. */
  launchStranger(): Promise<WorkerLine>;
  /** As a power cut. */
  kill(hostname: string): Promise<void>;
  /** Power is back: the same machine with its old files. */
  start(hostname: string): Promise<void>;
  /** Runs a shell command in it as root, past sshd and past Orion, and returns what it printed. */
  look(hostname: string, command: string): Promise<string>;
}

/** @param endpoint where the agents call */
export async function launchFleet(lab: Lab, count: number, { endpoint, joinToken }: { endpoint: string; joinToken: string }): Promise<Fleet> {
  const { stateDir } = await launchWorkers(lab, count, { endpoint, joinToken });
  const call = (...args: string[]): Promise<string> => runOrThrow(launchScript, ['--state-dir', stateDir, ...args]);
  return {
    find: async (hostname) => {
      const found = parseWorkers(await call('--list')).find(({ name }) => name === hostname);
      if (!found) {
        throw new Error(`there is no worker ${hostname}`);
      }
      return found;
    },
    launchStranger: async () => {
      const [worker] = parseWorkers(await call('1', '--endpoint', endpoint));
      if (!worker) {
        throw new Error('no worker was started');
      }
      return worker;
    },
    kill: async (hostname) => {
      await call('--kill', hostname);
    },
    start: async (hostname) => {
      await call('--start', hostname);
    },
    look: async (hostname, command) => {
      const { code, stdout, stderr } = await run(launchScript, ['--state-dir', stateDir, '--exec', hostname, 'sh', '-c', command]);
      if (code !== 0) {
        throw new Error(`looking into ${hostname} failed: ${stderr}`);
      }
      return stdout.trim();
    },
  };
}
