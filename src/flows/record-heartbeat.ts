import { transaction } from '../db/transaction';
import { listAccountsOnNode } from '../modules/leases';
import { type Caller, type CallerHints, findNode, type Heartbeat as Row, listCallers, type Node, type NodeStatus, recordHeartbeats, type Vitals } from '../modules/nodes';
import type { FlowContext } from './context';
import type { HeartbeatRhythm } from './heartbeat-rhythm';
import type { UseJudge } from './judge-use';
import { followFacts, type SelfReport } from './follow-facts';
import { isAstray, refreshSetBack } from './refresh-set-back';
import { quarantine } from './quarantine-node';
import type { CloneContext } from './tell-clones';

export interface Heartbeat {
  vitals: Vitals;
  /** The host key that the machine shows now, if it says. */
  hostKey: string | null;
  /** In how many seconds the node ends its accounts, by its own clock. */
  endsIn: ReadonlyMap<string, number>;
  /** It says that the machine changed. */
  tellsOfItself: boolean;
  /** See CallHome. */
  keptSeconds: number | undefined;
}

export interface HeartbeatAnswer {
  status: NodeStatus;
  /** What the agent has to know to end accounts by itself when it can reach nobody. */
  accounts: { username: string; remainingSeconds: number }[];
  /** Until the next one. */
  intervalSeconds: number;
  /** Undefined: it did not say that the machine changed. */
  selfAccepted?: boolean;
}

/** For the flows of this file. */
export type HeartbeatContext = FlowContext & { rhythm: HeartbeatRhythm; uses: UseJudge };

/** One that comes alone; `self`: what it says of a machine that changed, null where that is not valid. */
export type SingleHeartbeat = Heartbeat & { self: SelfReport | null };

/**
 * The agent's call home. A host key other than the pinned one quarantines the node, before anybody is sent to it; a machine that waits for approval has nothing
 * to be taken from, and its first probe judges the key. One that was quarantined by whoever met
 * that key first offers it only now, for an operator to accept.
 */
export async function takeHeartbeat(ctx: HeartbeatContext & CloneContext, node: Node, heartbeat: SingleHeartbeat): Promise<HeartbeatAnswer> {
  await judgeHostKey(ctx, node, heartbeat.hostKey);
  const selfAccepted = heartbeat.self ? await followFacts(ctx, node, heartbeat.self) : false;
  const [now, accounts] = await Promise.all([findNode(ctx.db, node.id), listAccountsOnNode(ctx.db, node.id)]);
  for (const { username } of accounts.filter((account) => isAstray(account, heartbeat.endsIn))) {
    await refreshSetBack(ctx, { nodeId: node.id, username, endsInSeconds: heartbeat.endsIn.get(username) ?? 0 });
  }
  const { row, answer } = judge(ctx, { nodeId: node.id, status: now?.status ?? node.status, accounts }, heartbeat);
  await record(ctx, [row]);
  return heartbeat.tellsOfItself ? { ...answer, selfAccepted } : answer;
}

async function judgeHostKey(ctx: FlowContext, node: Node, hostKey: string | null): Promise<void> {
  if (hostKey !== null && hostKey !== node.hostKey && node.status !== 'pending' && (node.status !== 'quarantined' || node.offeredHostKey === null)) {
    await transaction(ctx.db, (tx) => quarantine(tx, ctx, { nodeId: node.id, reason: 'it shows another host key', offeredHostKey: hostKey, actor: `node:${node.id}` }));
  }
}

/** A heartbeat of which nothing is known yet but what its sender shows. */
export interface ShownHeartbeat extends Heartbeat {
  /** Of the credential. */
  keyId: string;
  /** Whether the sender holds the credential with this hash. */
  isFrom: (credentialHash: string) => boolean;
}

/** The same answer, with what seals it. */
export type SealedAnswer = HeartbeatAnswer & { credentialHash: string };

/**
 * Many calls home at once, in two statements; the answers in their order. Undefined: there is more to do about it than to note it (the credential is
 * unknown, the node retired, the host key another, the ends of its accounts others, the machine changed), nothing was done, and it goes the way of those that come alone. Of several from one node the last counts.
 */
export async function takeHeartbeats(ctx: HeartbeatContext, heartbeats: ShownHeartbeat[], hints: CallerHints): Promise<(SealedAnswer | undefined)[]> {
  const callers = await listCallers(ctx.db, [...new Set(heartbeats.map(({ keyId }) => keyId))], hints);
  const rows = new Map<number, Row>();
  const answers = heartbeats.map((heartbeat) => {
    const caller = callers.get(heartbeat.keyId);
    if (!caller || !heartbeat.isFrom(caller.credentialHash) || !isPlain(caller, heartbeat)) {
      return undefined;
    }
    const { row, answer } = judge(ctx, caller, heartbeat);
    rows.set(caller.nodeId, { ...row, vitals: { ...rows.get(caller.nodeId)?.vitals, ...row.vitals } });
    return { ...answer, credentialHash: caller.credentialHash };
  });
  if (rows.size > 0) {
    await record(ctx, [...rows.values()]);
  }
  return answers;
}

async function record({ db, uses }: HeartbeatContext, rows: Row[]): Promise<void> {
  await recordHeartbeats(db, rows);
  uses.note(rows.filter(({ vitals }) => isNews(vitals)).map(({ nodeId }) => nodeId));
}

const isNews = (vitals: Vitals): boolean => Object.values(vitals).some((value) => value !== undefined);

const isPlain = (caller: Caller, { hostKey, endsIn, tellsOfItself }: Heartbeat): boolean =>
  !tellsOfItself && caller.status !== 'retired' && (hostKey === null || hostKey === caller.hostKey) && !caller.accounts.some((account) => isAstray(account, endsIn));

function judge({ rhythm }: HeartbeatContext, { nodeId, status, accounts }: Omit<Caller, 'hostKey' | 'credentialHash'>, { vitals, keptSeconds }: Heartbeat): { row: Row; answer: HeartbeatAnswer } {
  const { intervalSeconds, overdueSeconds } = rhythm.tell({ idle: status === 'alive' && accounts.length === 0, keptSeconds, news: isNews(vitals) });
  return { row: { nodeId, vitals, overdueSeconds }, answer: { status, accounts, intervalSeconds } };
}
