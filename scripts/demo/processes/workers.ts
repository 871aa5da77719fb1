import { join } from 'node:path';
import { launchScript, launchWorkers, run, runOrThrow } from '../../../test/lab';
import { parseWorkers } from '../../../test/lab/worker-line';
import { type ControlPlane, type Fleet, trustOfStranger } from '../world';

/** Sandboxes with their own root, accounts, sshd and agent. */
export async function launchFleet({ lab, proxy }: ControlPlane, count: number, joinToken: string): Promise<Fleet> {
  const endpoint = proxy.httpUrl;
  const { stateDir } = await launchWorkers(lab, count, { endpoint, joinToken });
  const call = (...args: string[]): Promise<string> => runOrThrow(launchScript, ['--state-dir', stateDir, ...args]);
  return {
    launchStranger: async () => {
      const [worker] = parseWorkers(await call('1', '--endpoint', endpoint, ...trustOfStranger(joinToken)));
      if (!worker) {
        throw new Error('no worker was started');
      }
      return worker;
    },
    kill: async (hostname) => {
      await call('--kill', hostname);
    },
    filesOf: async (hostname, uid) => {
      const disk = join(stateDir, hostname, 'upper');
      return (await runOrThrow('find', [disk, '-uid', uid, '-printf', '/%P\n'])).split('\n').filter((path) => path !== '');
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
