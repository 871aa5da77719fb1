import type { Socket } from 'node:net';
import { withDeadline } from '../../../lib/clock';
import { messageOf } from '../../../lib/errors';
import type { Logger } from '../../../lib/logger';
import { openWire, type PlayWire } from './play-wire';
import { startPreforkProcess, type PreforkProcess, type PreforkProcessSettings } from './prefork-process';

/** A prefork worker: a process that has Ansible loaded and waits for its one play. */
export interface PreforkWorker {
  wire: PlayWire;
  /** Kills the worker, whatever it does. Does nothing when the worker has ended. */
  end: () => void;
}

export interface PreforkWorkers {
  /** Takes an idle worker, or waits for the next one. Returns undefined when none is available for now; each failed start is logged. */
  take(): Promise<PreforkWorker | undefined>;
  close(): Promise<void>;
}

export interface PreforkWorkersDeps extends PreforkProcessSettings {
  logger: Logger;
}

/** Start limit. Loading Ansible takes a second of CPU. */
const START_LIMIT_MS = 60_000;
const RETRY_MS = 60_000;

/** Starts the prefork process at once, so that the first play finds an idle worker. */
export const createPreforkWorkers = (deps: PreforkWorkersDeps): PreforkWorkers => new Workers(deps);

class Workers implements PreforkWorkers {
  private readonly idle: PreforkWorker[] = [];
  private readonly waiting: ((worker: PreforkWorker | undefined) => void)[] = [];
  private process: Promise<PreforkProcess | undefined> | undefined;
  private failedAt: number | undefined;
  private closed = false;

  constructor(private readonly deps: PreforkWorkersDeps) {
    this.process = this.start();
  }

  async take(): Promise<PreforkWorker | undefined> {
    if (this.closed || (this.failedAt !== undefined && this.deps.clock.monotonicMs() - this.failedAt < RETRY_MS)) {
      return undefined;
    }
    this.process ??= this.start();
    if (!(await this.process)) {
      return undefined;
    }
    const worker = this.idle.shift();
    if (!worker) {
      return new Promise((resolve) => this.waiting.push(resolve));
    }
    return worker.wire.over.aborted ? this.take() : worker;
  }

  async close(): Promise<void> {
    this.closed = true;
    await (await this.process)?.close();
    this.dismiss();
  }

  /** Starts the prefork process. Returns undefined, and logs why, when that fails. */
  private async start(): Promise<PreforkProcess | undefined> {
    let started: PreforkProcess | undefined;
    try {
      let ready = (): void => undefined;
      const first = new Promise<void>((resolve) => (ready = resolve));
      started = await startPreforkProcess(this.deps, (socket) => void this.greet(socket).then(ready, () => socket.destroy()));
      const ended = started.ended;
      const fault = await withDeadline(START_LIMIT_MS, () => Promise.race([first, ended]));
      if (typeof fault === 'string') {
        throw new Error(fault);
      }
      const process = started;
      void ended.then((words) => this.lose(process, words));
      return started;
    } catch (error) {
      await started?.close();
      this.process = undefined;
      if (!this.closed) {
        this.failedAt = this.deps.clock.monotonicMs();
        this.deps.logger.warn('plays run without prefork workers, each with a start of Ansible of its own', { reason: messageOf(error) });
      }
      return undefined;
    }
  }

  /** Registers a worker. The first message of each worker contains its pid. */
  private async greet(socket: Socket): Promise<void> {
    const wire = openWire(socket);
    const { pid } = (await wire.hear()) as { pid: number };
    const worker: PreforkWorker = {
      wire,
      end: () => {
        if (!wire.over.aborted) {
          kill(pid);
          wire.close();
        }
      },
    };
    const next = this.waiting.shift();
    if (next) {
      next(worker);
    } else {
      this.idle.push(worker);
    }
  }

  /** Handles a prefork process that ended by itself. The next play starts another one. */
  private lose(lost: PreforkProcess, reason: string): void {
    this.dismiss();
    if (!this.closed) {
      this.process = undefined;
      this.deps.logger.warn('the process that had Ansible loaded ended', { reason });
      lost.forget().catch(() => undefined);
    }
  }

  private dismiss(): void {
    this.idle.splice(0).forEach((worker) => worker.end());
    this.waiting.splice(0).forEach((next) => next(undefined));
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // The process has ended.
  }
}
