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

export interface WarmProcessSettings {
  playbooksDir: string;
  /** How many forks wait for a play at the same time. */
  concurrency: number;
  /** For the data of each. */
  memoryLimitMb: number;
  /** Name or path of ansible-playbook: its interpreter is the one that finds Ansible. */
  executable?: string | undefined;
  clock: Clock;
}

/** A process that has Ansible loaded and forks: see playbooks/warm/warm_plays.py. */
export interface WarmProcess {
  /** Resolves with its last words, when it has ended. */
  ended: Promise<string>;
  /** Ends it and all of its forks. */
  close(): Promise<void>;
  /** For one that has ended by itself: takes away what it left. Forks that play go on. */
  forget(): Promise<void>;
}

const MAX_WORDS = 4096;
const SOCKET = 'plays';

/** Starts one. `onFork` gets the connection of each fork. */
export async function startWarmProcess(settings: WarmProcessSettings, onFork: (socket: Socket) => void): Promise<WarmProcess> {
  const interpreter = await interpreterOf(settings.executable ?? 'ansible-playbook');
  const folder = await createPrivateFolder();
  const server = createServer(onFork);
  await listenIn(server, folder, SOCKET);
  const script = join(settings.playbooksDir, 'warm', 'warm_plays.py');
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

/** What the first line of an installed ansible-playbook names: Ansible may live in an environment of its own. */
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
