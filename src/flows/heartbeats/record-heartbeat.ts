import { transaction } from '../../db/transaction';
import { type Batcher, createBatcher, fulfilled } from '../../lib/batcher';
import { withDeadline } from '../../lib/clock';
import { OrionError } from '../../lib/errors';
import { listAccountsOnNode } from '../../modules/leases';
import {
  type Caller,
  findNode,
  type Heartbeat as Row,
  type Node,
  type NodeStatus,
  recordHeartbeats,
  type Vitals,
} from '../../modules/nodes';
import type { FlowContext } from '../support/context';
import { followFacts, type SelfReport } from './follow-facts';
import type { HeartbeatSchedule } from './heartbeat-schedule';
import type { UseJudge } from './judge-use';
import { quarantine } from '../nodes/quarantine-node';
import { isAstray, refreshSetBack } from './refresh-set-back';
import type { CloneContext } from '../nodes/tell-clones';

/** The report of an agent in each heartbeat. */
export interface Reported {
  vitals: Vitals;
  /** The host key that the machine shows now. Null: not reported. */
  hostKey: string | null;
  /** Seconds until the node ends each account by itself, by the node's own clock. */
  endsIn: ReadonlyMap<string, number>;
  /** See CallHome. */
  keptSeconds: number | undefined;
}

export interface Heartbeat extends Reported {
  /** The machine's description after a change. Null: the report is not valid. Undefined: nothing changed. */
  self: SelfReport | null | undefined;
}

export interface HeartbeatAnswer {
  status: NodeStatus;
  /** The accounts on the node, with which the agent can end accounts by itself when it reaches no control plane. */
  accounts: { username: string; remainingSeconds: number }[];
  /** Seconds until the next heartbeat. */
  intervalSeconds: number;
  /** Undefined: the heartbeat reported no change of the machine. */
  selfAccepted?: boolean;
}

/** Writes heartbeats. Heartbeats that arrive together are written in one statement. Throws `unavailable`. */
export type HeartbeatLog = Batcher<Row, undefined>;

export type HeartbeatContext = FlowContext & CloneContext & { schedule: HeartbeatSchedule; heartbeats: HeartbeatLog };

/** Larger batches do not make the database faster, and this process would be idle while it waits for them. */
const MAX_BATCH = 250;
const DEADLINE_MS = 5_000;
const RETRY_WITHIN_SECONDS = 10;

type LogDeps = Pick<FlowContext, 'db' | 'logger' | 'metrics'> & { uses: UseJudge };

/** Creates the heartbeat log. Each process has one. */
export function createHeartbeatLog({ db, logger, metrics, uses }: LogDeps): HeartbeatLog {
  return createBatcher<Row, undefined>({
    max: MAX_BATCH,
    work: async (rows) => {
      metrics.batchItems.observe({ batch: 'heartbeats' }, rows.length);
      const latest = new Map<number, Row>();
      for (const row of rows) {
        latest.set(row.nodeId, { ...row, vitals: { ...latest.get(row.nodeId)?.vitals, ...row.vitals } });
      }
      await withDeadline(DEADLINE_MS, () => recordHeartbeats(db, [...latest.values()])).catch((cause: unknown) => {
        metrics.heartbeats.inc({ result: 'failed' }, rows.length);
        logger.error('heartbeats not written', { heartbeats: rows.length, error: cause });
        // Nothing is lost: each agent repeats its heartbeat after a random time.
        throw new OrionError('unavailable', 'Heartbeats cannot be taken now. Try again.', {
          retryAfterSeconds: RETRY_WITHIN_SECONDS * Math.random(),
          cause,
          isLogged: true,
        });
      });
      metrics.heartbeats.inc({ result: 'ok' }, rows.length);
      uses.note([...latest.values()].filter(({ vitals }) => isNews(vitals)).map(({ nodeId }) => nodeId));
      return fulfilled(rows.map(() => undefined));
    },
  });
}

const isNews = (vitals: Vitals): boolean => Object.values(vitals).some((value) => value !== undefined);

/**
 * Handles a heartbeat. Nearly all heartbeats change only the vitals and the time of the last heartbeat.
 *
 * A host key other than the pinned one quarantines the node, so that no tenant gets it. A changed description is written to the node's row.
 * An account that the node would end at another time than its lease is refreshed.
 */
export async function takeHeartbeat(ctx: HeartbeatContext, caller: Caller, heartbeat: Heartbeat): Promise<HeartbeatAnswer> {
  const { vitals, keptSeconds, self } = heartbeat;
  const { selfAccepted, status, accounts } = isPlain(caller, heartbeat)
    ? { ...caller, selfAccepted: false }
    : await actOn(ctx, caller, heartbeat);
  const { intervalSeconds, overdueSeconds } = ctx.schedule.next({
    idle: status === 'alive' && accounts.length === 0,
    keptSeconds,
    news: isNews(vitals),
  });
  await ctx.heartbeats.add({ nodeId: caller.nodeId, vitals, overdueSeconds });
  return { status, accounts, intervalSeconds, ...(self !== undefined && { selfAccepted }) };
}

/** Whether the heartbeat requires no action except that it is recorded. */
const isPlain = (caller: Caller, { hostKey, endsIn, self }: Heartbeat): boolean =>
  self === undefined && (hostKey === null || hostKey === caller.hostKey) && !caller.accounts.some((account) => isAstray(account, endsIn));

/** Handles what a heartbeat reports. Status and accounts are read again afterwards, because each step may change them. */
async function actOn(
  ctx: HeartbeatContext,
  { nodeId, status }: Caller,
  { hostKey, endsIn, self }: Heartbeat,
): Promise<Pick<Caller, 'status' | 'accounts'> & { selfAccepted: boolean }> {
  const node = await findNode(ctx.db, nodeId);
  if (node) {
    await judgeHostKey(ctx, node, hostKey);
  }
  const selfAccepted = node && self ? await followFacts(ctx, node, self) : false;
  const [now, accounts] = await Promise.all([findNode(ctx.db, nodeId), listAccountsOnNode(ctx.db, nodeId)]);
  for (const { username } of accounts.filter((account) => isAstray(account, endsIn))) {
    await refreshSetBack(ctx, { nodeId, username, endsInSeconds: endsIn.get(username) ?? 0 });
  }
  return { status: now?.status ?? status, accounts, selfAccepted };
}

/**
 * Quarantines a node that shows another host key. A pending node has no lease to protect, and its first probe checks the key. If a prober
 * or a scheduler met the other key first, the node is already in quarantine. This call then adds the offered key, so that an operator can
 * accept it.
 */
async function judgeHostKey(ctx: FlowContext, node: Node, hostKey: string | null): Promise<void> {
  if (
    hostKey !== null &&
    hostKey !== node.hostKey &&
    node.status !== 'pending' &&
    (node.status !== 'quarantined' || node.offeredHostKey === null)
  ) {
    await transaction(ctx.db, (tx) =>
      quarantine(tx, ctx, { nodeId: node.id, reason: 'it shows another host key', offeredHostKey: hostKey, actor: `node:${node.id}` }),
    );
  }
}
