import { transaction } from '../../db/transaction';
import { withDeadline } from '../../lib/clock';
import { newClaimToken } from '../../lib/ids';
import type { SweepJob } from '../../modules/jobs';
import { handBackShards, holdShards, type KeepableNode, listKeepableNodes, probeSoon, completeAnsweredProbes } from '../../modules/nodes';
import { isSameTarget, type PooledSessions } from '../../ssh';
import type { FlowContext } from '../support/context';

export interface KeepaliveProbeContext extends FlowContext {
  sessions: PooledSessions;
}

export interface KeepaliveProbeOptions {
  /** Maximum number of pooled SSH sessions. Nodes beyond it get full-login probes. */
  max: number;
  /** Limit for a login, and for the answer to a ping. */
  timeoutMs: number;
  /** A node gets a full-login probe at least this often, even if its keepalive probes succeed. */
  deepCheckSeconds: number;
  /** Called when a session is lost, so that the caller runs `pingDue` at once. */
  onLost: () => void;
  /** Called when nodes have just become due for a full-login probe. */
  onSuspect: () => void;
}

/**
 * Keepalive probes. A scheduler keeps pooled SSH sessions to the nodes of its shards and pings over them. A node that answers does not come
 * due for a full-login probe, which costs two hundred times as much.
 *
 * Keepalive probes change no health status. A node that does not answer, or whose session ends, becomes due for a full-login probe at once.
 */
export interface KeepaliveProbes {
  /** Interval between calls of `renewShards`. */
  renewSeconds: number;
  /** Claims or renews the shards, and reads which nodes are in them. */
  renewShards(): Promise<void>;
  /** Interval between calls of `pingDue`. */
  pingSeconds: number;
  /** Starts the pings that are due, without waiting for them, and writes the answers that have arrived. */
  pingDue(): Promise<void>;
  /** Releases the shards and closes the sessions. */
  stop(): Promise<void>;
}

interface Watched {
  node: KeepableNode;
  /** On the monotonic clock of the process. */
  nextAtMs: number;
  /** When the pending ping or login was started. Undefined: none is pending. */
  askedAtMs: number | undefined;
  open: boolean;
}

export const shardsJob: SweepJob<KeepaliveProbes> = {
  name: 'shards',
  description: "claims this replica's share of the nodes, and decides to which of them it keeps connections",
  period: ({ renewSeconds }) => renewSeconds,
  sweep: (probes) => probes.renewShards().then(() => 'done' as const),
};

export const keepaliveProbeJob: SweepJob<KeepaliveProbes> = {
  name: 'kept-probe',
  description: 'probes nodes over pooled sessions, so that a probe needs no login',
  period: ({ pingSeconds }) => pingSeconds,
  sweep: (probes) => probes.pingDue().then(() => 'done' as const),
};

/** A scheduler that does not renew its shards for this long loses them. It renews them three times in this time. */
const OWNER_SECONDS = 15;
/** Limit of concurrent logins. A login takes 5 ms of CPU, and other work of the process must get its turn. */
const LOGINS_AT_ONCE = 16;
/** Rows of one transaction at most. */
const BATCH = 500;
/**
 * When many sessions are lost at once, at most this many nodes become due at once. The others come due by themselves within the interval.
 */
const HASTENED = 100;

export const createKeepaliveProbes = (ctx: KeepaliveProbeContext, options: KeepaliveProbeOptions): KeepaliveProbes =>
  new ShardKeeper(ctx, options);

class ShardKeeper implements KeepaliveProbes {
  private readonly ownerId = newClaimToken();
  private readonly watched = new Map<number, Watched>();
  private answered: KeepableNode[] = [];
  private readonly lost = new Set<number>();
  private logins = 0;
  readonly renewSeconds: number;
  readonly pingSeconds: number;

  constructor(
    private readonly ctx: KeepaliveProbeContext,
    private readonly options: KeepaliveProbeOptions,
  ) {
    const { intervalSeconds } = ctx.settings.health;
    this.renewSeconds = Math.min(OWNER_SECONDS / 3, Math.max(1, intervalSeconds));
    this.pingSeconds = Math.min(0.5, Math.max(0.05, intervalSeconds / 20));
    ctx.sessions.onLost((nodeId) => this.lose(nodeId));
  }

  async renewShards(): Promise<void> {
    const { ctx, ownerId } = this;
    await transaction(ctx.db, (tx) => holdShards(tx, { id: ownerId, seconds: OWNER_SECONDS }));
    const nodes = await listKeepableNodes(ctx.db, ownerId, this.options.max);
    const before = new Set(this.watched.keys());
    for (const node of nodes) {
      before.delete(node.nodeId);
      this.watch(node);
    }
    before.forEach((nodeId) => this.forget(nodeId));
    ctx.metrics.keptConnections.set(ctx.sessions.size);
  }

  async pingDue(): Promise<void> {
    this.begin();
    await this.hasten();
    await this.completeAnswered();
  }

  async stop(): Promise<void> {
    this.watched.clear();
    this.ctx.sessions.close();
    await handBackShards(this.ctx.db, this.ownerId);
  }

  private watch(node: KeepableNode): void {
    const known = this.watched.get(node.nodeId);
    if (!known || !isSameTarget(known.node, node)) {
      this.forget(node.nodeId);
      this.watched.set(node.nodeId, { node, nextAtMs: this.ctx.clock.monotonicMs(), askedAtMs: undefined, open: false });
    }
  }

  private forget(nodeId: number): void {
    this.watched.delete(nodeId);
    this.ctx.sessions.drop(nodeId);
  }

  private begin(): void {
    const nowMs = this.ctx.clock.monotonicMs();
    for (const each of this.watched.values()) {
      if (each.askedAtMs !== undefined) {
        this.cutWhenLate(each, nowMs - each.askedAtMs);
      } else if (each.nextAtMs <= nowMs && (each.open || this.logins < LOGINS_AT_ONCE)) {
        this.ctx.metrics.keepaliveProbeLagSeconds.observe((nowMs - each.nextAtMs) / 1000);
        // Well before the node comes due, and at random, so that the pings are spread.
        each.nextAtMs = nowMs + this.ctx.settings.health.intervalSeconds * 1000 * (0.6 + 0.2 * Math.random());
        each.askedAtMs = nowMs;
        void (each.open ? this.ask(each) : this.logIn(each));
      }
    }
  }

  /** Closes the session of a node that has not answered in time. An AbortSignal for each ping would cost as much as the ping. */
  private cutWhenLate({ node, open }: Watched, waitedMs: number): void {
    if (open && waitedMs > this.options.timeoutMs) {
      this.ctx.sessions.drop(node.nodeId);
    }
  }

  private async logIn(each: Watched): Promise<void> {
    this.logins += 1;
    try {
      await withDeadline(this.options.timeoutMs, (signal) => this.ctx.sessions.keep(each.node, signal));
      each.open = true;
    } catch {
      // The ping that follows fails, because there is no session.
    }
    await this.ask(each);
    this.logins -= 1;
    this.begin();
  }

  /** Pings a node and keeps the outcome for `completeAnswered` or `hasten`. Never throws. */
  private async ask(each: Watched): Promise<void> {
    const { sessions, metrics } = this.ctx;
    const { node } = each;
    try {
      await sessions.ping(node);
      this.answered.push(node);
      metrics.keepaliveProbes.inc({ outcome: 'ok' });
    } catch (error) {
      if (this.watched.get(node.nodeId) === each) {
        this.ctx.logger.debug('a node does not answer over its pooled session', { nodeId: node.nodeId, error });
        metrics.keepaliveProbes.inc({ outcome: 'failed' });
        sessions.drop(node.nodeId);
        this.lose(node.nodeId);
      }
    } finally {
      each.askedAtMs = undefined;
    }
  }

  private lose(nodeId: number): void {
    const each = this.watched.get(nodeId);
    if (each) {
      each.open = false;
      this.lost.add(nodeId);
      this.options.onLost();
    }
  }

  /** Makes nodes with a lost session due for a full-login probe at once. */
  private async hasten(): Promise<void> {
    const [first, ...others] = [...this.lost].slice(0, HASTENED);
    this.lost.clear();
    if (first !== undefined && (await probeSoon(this.ctx.db, first, ...others)) > 0) {
      this.options.onSuspect();
    }
  }

  private async completeAnswered(): Promise<void> {
    const { db, settings } = this.ctx;
    const terms = {
      ownerId: this.ownerId,
      nextProbeSeconds: settings.health.intervalSeconds,
      deepCheckSeconds: this.options.deepCheckSeconds,
    };
    // Answers that cannot be written now are dropped. They would be out of date by the time that the database is back.
    const answered = this.answered.splice(0).sort((a, b) => a.nodeId - b.nodeId);
    for (let at = 0; at < answered.length; at += BATCH) {
      const nodes = answered.slice(at, at + BATCH);
      await transaction(db, (tx) => completeAnsweredProbes(tx, { ...terms, nodes }));
    }
  }
}
