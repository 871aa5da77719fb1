import { setMaxListeners } from 'node:events';
import type { Client } from 'ssh2';
import { type Clock, withDeadline } from '../lib/clock';
import { type CommandJob, type CommandResult, NotStartedError, reasonOf, roundTrip, runCommand, SessionBrokenError } from './command';
import { inSpan, SpanKind } from '../lib/trace';
import type { SshTarget } from './dial';
import { type OpenSession, openSession, type SessionSettings } from './session';

export interface PooledSessionsSettings extends SessionSettings {
  clock: Clock;
  /** Deadline of each login. */
  loginTimeoutMs: number;
  /** A connection that was idle for this long is closed when another is opened. */
  idleMs: number;
  /** Connections at most. Above it, the least recently used connections are closed. */
  max: number;
}

/**
 * Pooled SSH sessions: connections to nodes that stay open between jobs. A login costs 5 ms of CPU, a command over an open connection 0.4
 * ms, a round trip 0.02 ms. A connection serves one target (node, address, host key, transport). For another target of the same node, it is
 * replaced. So a machine that enrolled again gets a new login, which verifies its host key.
 */
export interface PooledSessions {
  /**
   * Runs one command, over the pooled connection if there is one. A connection that broke before the command started is replaced once.
   * Throws the errors of a login, or SessionBrokenError.
   */
  run(target: SshTarget, job: CommandJob): Promise<CommandResult>;
  /** Makes sure that a connection is open. Throws the errors of a login. */
  keep(target: SshTarget, signal: AbortSignal): Promise<void>;
  /**
   * Makes one round trip over the pooled connection. Throws SessionBrokenError when there is none or it breaks. Throws when `signal`
   * aborts, which also cuts the connection. A caller with thousands of targets passes no signal, and drops silent connections itself: a
   * signal costs as much as the round trip.
   */
  ping(target: SshTarget, signal?: AbortSignal): Promise<void>;
  /** Returns true when a connection to this target is open, or being opened. */
  has(target: SshTarget): boolean;
  /** Calls `listener` for each connection that ended although this process did not close it. */
  onLost(listener: (nodeId: number) => void): void;
  /** Closes the connection as soon as no command runs over it. */
  drop(nodeId: number): void;
  /**
   * From now on, a target without a connection here is served over the connection of `lender`, if it has one. So a machine whose sshd
   * accepts no new login can still be worked on. That happens when somebody occupies all slots for connections before login.
   */
  borrowFrom(lender: PooledSessions): void;
  readonly size: number;
  /** Closes all connections. Running jobs fail. */
  close(): void;
}

/**
 * Answers to round trips and new keys take a few kilobytes. A peer that sends more unsolicited data on a permanent connection is trying to
 * exhaust our CPU; the connection is closed.
 */
const MAX_UNASKED_BYTES = 64 * 1024;

interface Pooled {
  target: SshTarget;
  opening: Promise<Client>;
  open: OpenSession | undefined;
  jobs: number;
  /** Of these jobs, the commands, which print output. */
  commands: number;
  /** Bytes received since the last job while no command ran. */
  unasked: number;
  usedAt: number;
  /** Closed by us, or lost. It is not used again. */
  over: boolean;
  /** To be closed when its last command ends. */
  leaving: boolean;
}

export const createPooledSessions = (settings: PooledSessionsSettings): PooledSessions => new SessionPool(settings);

/** Returns true when a connection to `a` is also a connection to `b`. */
export const isSameTarget = (a: SshTarget, b: SshTarget): boolean =>
  a.address === b.address && a.port === b.port && a.hostKey === b.hostKey && (a.reach ?? 'direct') === (b.reach ?? 'direct');

class SessionPool implements PooledSessions {
  /** Ordered by last use; the most recently used is last. */
  private readonly all = new Map<number, Pooled>();
  private readonly listeners: ((nodeId: number) => void)[] = [];
  private readonly closing = new AbortController();
  private lender: PooledSessions | undefined;

  constructor(private readonly settings: PooledSessionsSettings) {
    // Every login adds a listener to it.
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
    const { pooled, fresh } = this.use(target);
    try {
      const about = { kind: SpanKind.CLIENT, attributes: { 'orion.node.id': target.nodeId } };
      return await inSpan(
        'ssh command',
        () => this.during(pooled, job.signal, (client, cut) => this.command(pooled, runCommand(client, job, cut))),
        about,
      );
    } catch (error) {
      // The command was never started, so it can be sent again.
      if (fresh || !(error instanceof NotStartedError) || this.closing.signal.aborted) {
        throw error;
      }
      this.end(pooled);
      return this.run(target, job);
    }
  }

  async keep(target: SshTarget, signal: AbortSignal): Promise<void> {
    await (this.lenderFor(target)?.keep(target, signal) ?? this.during(this.use(target).pooled, signal, () => Promise.resolve()));
  }

  async ping(target: SshTarget, signal?: AbortSignal): Promise<void> {
    const pooled = this.find(target);
    if (!pooled && this.lender) {
      return this.lender.ping(target, signal);
    }
    if (!pooled) {
      throw new SessionBrokenError('no session is pooled');
    }
    await this.during(pooled, signal, (client, cut) => (signal ? unlessAborted(roundTrip(client), signal, cut) : roundTrip(client)));
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
    const pooled = this.all.get(nodeId);
    if (pooled && pooled.commands > 0) {
      pooled.leaving = true;
      this.all.delete(nodeId);
    } else if (pooled) {
      this.end(pooled);
    }
  }

  close(): void {
    this.closing.abort();
    [...this.all.values()].forEach((pooled) => this.end(pooled));
  }

  /** Returns the connection to this target, and opens one if there is none. */
  private use(target: SshTarget): { pooled: Pooled; fresh: boolean } {
    const known = this.find(target);
    const pooled = known ?? this.open(target);
    this.all.delete(target.nodeId);
    this.all.set(target.nodeId, pooled);
    return { pooled, fresh: known === undefined };
  }

  private find(target: SshTarget): Pooled | undefined {
    const pooled = this.all.get(target.nodeId);
    if (pooled && !isSameTarget(pooled.target, target)) {
      this.end(pooled);
      return undefined;
    }
    return pooled;
  }

  private open(target: SshTarget): Pooled {
    this.makeRoom();
    const pooled: Pooled = {
      target,
      opening: Promise.resolve(undefined as never),
      open: undefined,
      jobs: 0,
      commands: 0,
      unasked: 0,
      usedAt: 0,
      over: false,
      leaving: false,
    };
    pooled.opening = this.logIn(pooled);
    pooled.opening.catch(() => this.end(pooled));
    return pooled;
  }

  /** Closes connections that were idle for long. If that is not enough, closes the least recently used ones. */
  private makeRoom(): void {
    const { clock, idleMs, max } = this.settings;
    const idleSince = clock.monotonicMs() - idleMs;
    for (const pooled of this.all.values()) {
      if (pooled.usedAt >= idleSince && this.all.size < max) {
        return;
      }
      if (pooled.jobs === 0) {
        this.end(pooled);
      }
    }
  }

  private async logIn(pooled: Pooled): Promise<Client> {
    const { settings, closing } = this;
    const open = await withDeadline(
      settings.loginTimeoutMs,
      (signal) => openSession(settings, { target: pooled.target, signal }),
      closing.signal,
    );
    const client = open.session.connection;
    pooled.open = open;
    if (pooled.over || !client || open.stream.destroyed) {
      this.end(pooled);
      throw new SessionBrokenError('the connection ended with the login');
    }
    // Every command adds a listener to it.
    client.setMaxListeners(0);
    client.once('close', () => this.lose(pooled));
    open.stream.on('data', (chunk: Buffer) => {
      pooled.unasked += pooled.commands === 0 ? chunk.length : 0;
      if (pooled.unasked > MAX_UNASKED_BYTES) {
        open.stream.destroy();
      }
    });
    return client;
  }

  private lose(pooled: Pooled): void {
    if (!pooled.over) {
      this.end(pooled);
      this.listeners.forEach((listener) => listener(pooled.target.nodeId));
    }
  }

  private end(pooled: Pooled): void {
    pooled.over = true;
    if (this.all.get(pooled.target.nodeId) === pooled) {
      this.all.delete(pooled.target.nodeId);
    }
    pooled.open?.session.dispose();
    pooled.open?.stream.destroy();
  }

  /** Counts a command while it runs. Data that arrives meanwhile is solicited. */
  private async command<T>(pooled: Pooled, running: Promise<T>): Promise<T> {
    pooled.commands += 1;
    try {
      return await running;
    } finally {
      pooled.commands -= 1;
      if (pooled.leaving && pooled.commands === 0) {
        this.end(pooled);
      }
    }
  }

  /** Counts the connection as used while `work` runs. */
  private async during<T>(
    pooled: Pooled,
    signal: AbortSignal | undefined,
    work: (client: Client, cut: () => void) => Promise<T>,
  ): Promise<T> {
    pooled.jobs += 1;
    try {
      const client = await (signal ? unlessAborted(pooled.opening, signal) : pooled.opening);
      return await work(client, () => this.end(pooled));
    } finally {
      pooled.jobs -= 1;
      pooled.unasked = 0;
      pooled.usedAt = this.settings.clock.monotonicMs();
    }
  }
}

/** Resolves as `promise` does, unless `signal` aborts first. Then it rejects and calls `cut`. */
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
