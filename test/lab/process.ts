import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/lib/clock';
import type { Lab } from './lab';
import { killGroup } from './run';

export interface ProcessSpec {
  /** Names the log file. */
  name: string;
  command: string;
  args: string[];
  /** Added to PATH, HOME, LANG and TMPDIR. The process gets nothing else of this process's environment. */
  env?: Record<string, string>;
  cwd?: string;
}

export interface ExitStatus {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A server process. It leads its own process group, writes its output to a file, and is killed at the latest when the lab closes. */
export interface LabProcess {
  pid: number;
  logFile: string;
  exited: Promise<ExitStatus>;
  running(): boolean;
  /** Returns its output so far. */
  log(): string;
  /** Sends SIGTERM, and SIGKILL to its group after `limitMs` (default 10 s). Resolves when the process has ended. */
  stop(limitMs?: number): Promise<ExitStatus>;
  /** Sends SIGKILL to this process alone. As in production, its children go on; the lab kills them when it closes. */
  kill9(): Promise<ExitStatus>;
  /** Sends SIGSTOP to its group; `resume` sends SIGCONT. */
  pause(): void;
  resume(): void;
}

let count = 0;

export function startProcess(lab: Lab, spec: ProcessSpec): LabProcess {
  const logFile = join(lab.dir, `${spec.name}-${++count}.log`);
  const log = openSync(logFile, 'a');
  const child = spawn(spec.command, spec.args, {
    cwd: spec.cwd,
    env: { ...baseEnv(), ...spec.env },
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const pid = child.pid;
  if (pid === undefined) {
    throw new Error(`cannot start ${spec.command}`);
  }
  lab.note({ kind: 'process', pid });
  if (lab.background) {
    child.unref();
  }
  let status: ExitStatus | undefined;
  const exited = new Promise<ExitStatus>((resolve) => {
    child.once('exit', (code, signal) => resolve((status = { code, signal })));
  });
  const signal = (name: NodeJS.Signals, target: number): void => {
    if (!status) {
      process.kill(target, name);
    }
  };
  const self: LabProcess = {
    pid,
    logFile,
    exited,
    running: () => status === undefined,
    log: () => readFileSync(logFile, 'utf8'),
    stop: async (limitMs = 10_000) => {
      signal('SIGCONT', -pid);
      signal('SIGTERM', pid);
      const waiting = new AbortController();
      const timely = await Promise.race([exited, systemClock.sleep(limitMs, waiting.signal)]);
      waiting.abort();
      if (!timely) {
        killGroup(pid);
      }
      return exited;
    },
    kill9: () => {
      signal('SIGKILL', pid);
      return exited;
    },
    pause: () => signal('SIGSTOP', -pid),
    resume: () => signal('SIGCONT', -pid),
  };
  lab.push(spec.name, async () => {
    await self.stop();
    killGroup(pid);
  });
  return self;
}

function baseEnv(): Record<string, string> {
  const names = ['PATH', 'HOME', 'LANG', 'TMPDIR'];
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])));
}

/** The setting with which Node writes coverage, when the test run collects that of child processes. */
export function childCoverageEnv(): Record<string, string> {
  const dir = process.env['ORION_CHILD_COVERAGE'] ?? process.env['NODE_V8_COVERAGE'];
  return dir ? { NODE_V8_COVERAGE: dir } : {};
}

/**
 * Node arguments for CPU profiles. If `ORION_CHILD_PROFILE` names a folder, each Orion process writes its CPU profile there when it ends,
 * for a browser's developer tools.
 */
export function childProfileArgs(): string[] {
  const dir = process.env['ORION_CHILD_PROFILE'];
  return dir ? ['--cpu-prof', `--cpu-prof-dir=${dir}`] : [];
}
