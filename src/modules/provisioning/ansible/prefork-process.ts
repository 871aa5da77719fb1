import { spawn } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { isAbsolute, join } from 'node:path';
import type { Clock } from '../../../lib/clock';
import { createCapture } from './capture';
import { ansibleEnvironment, PATH } from './environment';
import { listenIn } from './listen-in';
import { createPrivateFolder } from './play-directory';
import { killPlay } from './process-group';

export interface PreforkProcessSettings {
  playbooksDir: string;
  /** How many prefork workers wait for a play at the same time. */
  concurrency: number;
  /** Limit for the data of each worker. */
  memoryLimitMb: number;
  /** Name or path of ansible-playbook. The process uses the interpreter of that script, which finds Ansible. */
  executable?: string | undefined;
  clock: Clock;
}

/** The prefork process: it has Ansible loaded and forks the prefork workers. See playbooks/prefork/prefork_plays.py. */
export interface PreforkProcess {
  /** Resolves when the process has ended, with the last line of its standard error. */
  ended: Promise<string>;
  /** Kills the process and all of its workers. */
  close(): Promise<void>;
  /** Removes what a process left that ended by itself. Workers that run a play go on. */
  forget(): Promise<void>;
}

const MAX_WORDS = 4096;
const SOCKET = 'plays';

/** Starts the prefork process. `onFork` receives the connection of each worker. */
export async function startPreforkProcess(settings: PreforkProcessSettings, onFork: (socket: Socket) => void): Promise<PreforkProcess> {
  const interpreter = await interpreterOf(settings.executable ?? 'ansible-playbook');
  const folder = await createPrivateFolder();
  const server = createServer(onFork);
  await listenIn(server, folder, SOCKET);
  const script = join(settings.playbooksDir, 'prefork', 'prefork_plays.py');
  const child = spawn(interpreter, ['-B', script, SOCKET, String(settings.concurrency), String(settings.memoryLimitMb)], {
    cwd: folder, // where the socket is
    detached: true, // a process group of its own, to be killed as a whole
    env: ansibleEnvironment(folder, settings.playbooksDir),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const words = createCapture(child.stderr, MAX_WORDS);
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(words().trim().split('\n').at(-1) || `it ended with ${String(code ?? signal)}`));
  });
  const forget = async (): Promise<void> => {
    server.close();
    child.stderr.destroy();
    await rm(folder, { recursive: true, force: true });
  };
  const close = async (): Promise<void> => {
    if (child.pid !== undefined) {
      await killPlay(child.pid, folder, settings.clock);
    }
    await forget();
  };
  return { ended, close, forget };
}

/**
 * Returns the interpreter in the first line of the installed ansible-playbook, because Ansible may be installed in a virtual environment.
 */
async function interpreterOf(executable: string): Promise<string> {
  const candidates = isAbsolute(executable) ? [executable] : PATH.split(':').map((folder) => join(folder, executable));
  for (const candidate of candidates) {
    const text = await readFile(candidate, 'latin1').catch(() => undefined);
    if (text !== undefined) {
      return /^#! ?(\/\S*python[\d.]*)\s*\n/.exec(text)?.[1] ?? 'python3';
    }
  }
  throw new Error(`${executable} is not installed`);
}
