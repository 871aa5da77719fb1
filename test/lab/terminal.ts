import { spawn } from 'node:child_process';
import { eventually } from './eventually';
import { sshOptions, type SshTarget } from './ssh';

/** An OpenSSH client with a terminal, which the test keeps open. */
export interface Terminal {
  pid: number;
  type(text: string): void;
  /** Returns everything that was shown so far. */
  screen(): string;
  untilShown(what: RegExp, timeoutMs?: number): Promise<void>;
  /** The exit code; null while the client runs. */
  exitCode(): number | null;
  untilExit(timeoutMs?: number): Promise<number>;
  close(): void;
}

export function openTerminal(target: SshTarget): Terminal {
  const child = spawn('ssh', [...sshOptions(target), '-tt', `${target.user}@${target.address}`], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, TERM: 'xterm' },
  });
  let shown = '';
  let code: number | null = null;
  const show = (chunk: Buffer): void => {
    shown += chunk.toString();
  };
  child.stdout.on('data', show);
  child.stderr.on('data', show);
  child.stdin.on('error', () => undefined);
  child.once('exit', (status, signal) => {
    code = status ?? (signal ? 128 : 0);
  });
  return {
    pid: child.pid ?? 0,
    type: (text) => void child.stdin.write(text),
    screen: () => shown,
    untilShown: async (what, timeoutMs = 30_000) => {
      await eventually(
        () => {
          if (!what.test(shown)) {
            throw new Error(
              `the screen shows ${JSON.stringify(shown.slice(-1500))}${code === null ? '' : `, the client ended with ${code}`}`,
            );
          }
          return true;
        },
        { what: `the terminal shows ${String(what)}`, timeoutMs, everyMs: 50 },
      );
    },
    exitCode: () => code,
    untilExit: async (timeoutMs = 20_000) => {
      await eventually(() => code !== null, { what: 'the client has ended', timeoutMs, everyMs: 50 });
      return code ?? -1;
    },
    close: () => void child.kill('SIGKILL'),
  };
}
