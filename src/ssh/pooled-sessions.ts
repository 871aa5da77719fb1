import { setMaxListeners } from 'node:events';
import type { Client } from 'ssh2';
import { type Clock, withDeadline } from '../lib/clock';
import { type CommandJob, type CommandResult, NotStartedError, reasonOf, roundTrip, runCommand, SessionBrokenError } from './command';
import type { SshTarget } from './dial';
import { type OpenSession, openSession, type SessionSettings } from './session';

export interface PooledSessionsSettings extends SessionSettings {
  clock: Clock;
  /** For each login. */
  loginTimeoutMs: number;
  /** A connection that nobody used for so long is closed when the next one is opened or used. */
  idleMs: number;
  /** So many are kept: beyond it those that were not used for the longest time are closed. */
  max: number;
}

/**
 * Connections to nodes that stay open between jobs: a login costs 5 ms of CPU, a command over a connection that is open 0.4 ms, a round trip
 * 0.02 ms. A connection serves one target (node, address, host key, way); for another target of the same node it is replaced, so that a machine
 * that enrolled anew is logged in to anew, its host key verified.
 */
export interface PooledSessions {
  /**
   * Runs one command, over the kept connection where there is one; one that is found dead before the command was started is replaced once. Throws as a
   * login does, or SessionBrokenError.
   */
  run(target: SshTarget, job: CommandJob): Promise<CommandResult>;
  /** Sees to it that a connection is open. Throws as a login does. */
  keep(target: SshTarget, signal: AbortSignal): Promise<void>;
  /**
   * One round trip over the kept connection. Throws SessionBrokenError when there is none or it breaks, and when `signal` aborts, which cuts it. Whoever asks
   * thousands drops by himself those that do not answer: a signal each costs as much as the round trip.
   */
  ping(target: SshTarget, signal?: AbortSignal): Promise<void>;
  /** Whether a connection to this target is kept, or being opened. */
  has(target: SshTarget): boolean;
  /** Told of each connection that ended although nobody here closed it. */
  onLost(listener: (nodeId: number) => void): void;
  /** Closes the connection, once no command runs over it. */
  drop(nodeId: number): void;
  /**
   * From now on a target without a connection here is served over that of the other keeper, if it has one: a machine whose sshd takes no new login, since
   * somebody holds all places of those that have not logged in yet, can still be worked on.
   */
  borrowFrom(lender: PooledSessions): void;
  readonly size: number;
  /** Closes all; what runs over them breaks. */
  close(): void;
}

/** Answers to round trips and new keys take a few kilobytes. What says more unasked, on a connection that lives for ever, is after our CPU. */
const MAX_UNASKED_BYTES = 64 * 1024;

interface Kept {
  target: SshTarget;
  opening: Promise<Client>;
  open: OpenSession | undefined;
  jobs: number;
  /** Of these, those that print something. */
  commands: number;
  /** Bytes that came since the last job, without a command that would explain them. */
  unasked: number;
  usedAt: number;
  /** Closed by us, or lost: it serves nobody any more. */
  over: boolean;
  /** To be closed when its last command has ended. */
  leaving: boolean;
}

export const createPooledSessions = (settings: PooledSessionsSettings): PooledSessions => new SessionPool(settings);

/** Whether a connection to the one is one to the other. */
export const isSameTarget = (a: SshTarget, b: SshTarget): boolean =>
  a.address === b.address && a.port === b.port && a.hostKey === b.hostKey && (a.reach ?? 'direct') === (b.reach ?? 'direct');

class SessionPool implements PooledSessions {
  /** Those used last come last. */
  private readonly all = new Map<number, Kept>();
  private readonly listeners: ((nodeId: number) => void)[] = [];
  private readonly closing = new AbortController();
  private lender: PooledSessions | undefined;

  constructor(private readonly settings: PooledSessionsSettings) {
    // Every login listens to it.
    setMaxListeners(0, this.closing.signal);
  }

  get size(): number {
    return this.all.size;
  }

  borrowFrom(lender: PooledSessions): void {
    this.lender = lender;
  }

  async run(target: SshTarget, job: CommandJob): Promise<CommandResult> {
    const lender = this.lenderFor(target);
    if (lender) {
      return lender.run(target, job);
    }
    const { kept, fresh } = this.use(target);
    try {
      return await this.during(kept, job.signal, (client, cut) => this.command(kept, runCommand(client, job, cut)));
    } catch (error) {
      // What it asked for was never begun, so that it can be asked for again.
      if (fresh || !(error instanceof NotStartedError) || this.closing.signal.aborted) {
        throw error;
      }
      this.end(kept);
      return this.run(target, job);
    }
  }

  async keep(target: SshTarget, signal: AbortSignal): Promise<void> {
    await (this.lenderFor(target)?.keep(target, signal) ?? this.during(this.use(target).kept, signal, () => Promise.resolve()));
  }

  async ping(target: SshTarget, signal?: AbortSignal): Promise<void> {
    const kept = this.find(target);
    if (!kept && this.lender) {
      return this.lender.ping(target, signal);
    }
    if (!kept) {
      throw new SessionBrokenError('no connection is kept');
    }
    await this.during(kept, signal, (client, cut) => (signal ? unlessAborted(roundTrip(client), signal, cut) : roundTrip(client)));
  }

  has(target: SshTarget): boolean {
    return this.find(target) !== undefined || this.lender?.has(target) === true;
  }

  private lenderFor(target: SshTarget): PooledSessions | undefined {
    return !this.find(target) && this.lender?.has(target) ? this.lender : undefined;
  }

  onLost(listener: (nodeId: number) => void): void {
    this.listeners.push(listener);
  }

  drop(nodeId: number): void {
    const kept = this.all.get(nodeId);
    if (kept && kept.commands > 0) {
      kept.leaving = true;
      this.all.delete(nodeId);
    } else if (kept) {
      this.end(kept);
    }
  }

  close(): void {
    this.closing.abort();
    [...this.all.values()].forEach((kept) => this.end(kept));
  }

  /** The connection to this target, being opened where there is none. */
  private use(target: SshTarget): { kept: Kept; fresh: boolean } {
    const known = this.find(target);
    const kept = known ?? this.open(target);
    this.all.delete(target.nodeId);
    this.all.set(target.nodeId, kept);
    return { kept, fresh: known === undefined };
  }

  private find(target: SshTarget): Kept | undefined {
    const kept = this.all.get(target.nodeId);
    if (kept && !isSameTarget(kept.target, target)) {
      this.end(kept);
      return undefined;
    }
    return kept;
  }

  private open(target: SshTarget): Kept {
    this.makeRoom();
    const kept: Kept = { target, opening: Promise.resolve(undefined as never), open: undefined, jobs: 0, commands: 0, unasked: 0, usedAt: 0, over: false, leaving: false };
    kept.opening = this.logIn(kept);
    kept.opening.catch(() => this.end(kept));
    return kept;
  }

  /** Closes what nobody used for long, and when that is not enough, what was not used for the longest time. */
  private makeRoom(): void {
    const { clock, idleMs, max } = this.settings;
    const idleSince = clock.monotonicMs() - idleMs;
    for (const kept of this.all.values()) {
      if (kept.usedAt >= idleSince && this.all.size < max) {
        return;
      }
      if (kept.jobs === 0) {
        this.end(kept);
      }
    }
  }

  private async logIn(kept: Kept): Promise<Client> {
    const { settings, closing } = this;
    const open = await withDeadline(settings.loginTimeoutMs, (signal) => openSession(settings, { target: kept.target, signal }), closing.signal);
    const client = open.session.connection;
    kept.open = open;
    if (kept.over || !client || open.stream.destroyed) {
      this.end(kept);
      throw new SessionBrokenError('the connection ended with the login');
    }
    // Every command listens to it.
    client.setMaxListeners(0);
    client.once('close', () => this.lose(kept));
    open.stream.on('data', (chunk: Buffer) => {
      kept.unasked += kept.commands === 0 ? chunk.length : 0;
      if (kept.unasked > MAX_UNASKED_BYTES) {
        open.stream.destroy();
      }
    });
    return client;
  }

  private lose(kept: Kept): void {
    if (!kept.over) {
      this.end(kept);
      this.listeners.forEach((listener) => listener(kept.target.nodeId));
    }
  }

  private end(kept: Kept): void {
    kept.over = true;
    if (this.all.get(kept.target.nodeId) === kept) {
      this.all.delete(kept.target.nodeId);
    }
    kept.open?.session.dispose();
    kept.open?.stream.destroy();
  }

  /** Until it ends, what comes was asked for. */
  private async command<T>(kept: Kept, running: Promise<T>): Promise<T> {
    kept.commands += 1;
    try {
      return await running;
    } finally {
      kept.commands -= 1;
      if (kept.leaving && kept.commands === 0) {
        this.end(kept);
      }
    }
  }

  /** It counts as used while `work` lasts. */
  private async during<T>(kept: Kept, signal: AbortSignal | undefined, work: (client: Client, cut: () => void) => Promise<T>): Promise<T> {
    kept.jobs += 1;
    try {
      const client = await (signal ? unlessAborted(kept.opening, signal) : kept.opening);
      return await work(client, () => this.end(kept));
    } finally {
      kept.jobs -= 1;
      kept.unasked = 0;
      kept.usedAt = this.settings.clock.monotonicMs();
    }
  }
}

/** What `promise` gives, unless `signal` aborts before; then `cut` is called. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal, cut?: () => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(reasonOf(signal));
      cut?.();
    };
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
    if (signal.aborted) {
      abort();
    } else {
      signal.addEventListener('abort', abort, { once: true });
    }
  });
}
