import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { transaction } from '../../db/transaction';
import { createLoop, type Loop } from '../../lib/loop';
import { type Node, probeSoon } from '../../modules/nodes';
import {
  announceOwner,
  findOwnAddress,
  findTunnel,
  isTunnelAnswering,
  listTunnels,
  nextAnnouncement,
  type OlderTokens,
  recordTunnel,
  type Relay,
  removeTunnel,
  startRelay,
  sweepOwners,
  type TunnelHub,
  withdrawOwner,
} from '../../modules/tunnels';
import type { FlowContext } from '../support/context';
import { quarantine } from './quarantine-node';

export interface TunnelContext extends FlowContext {
  tunnels: { ownerId: string; hub: TunnelHub; older: OlderTokens };
}

/** Keeps the tunnels of one API replica. */
export interface TunnelKeeper {
  /** Keeps a stream that the agent of `node` opened, until the stream closes. */
  take(node: Node, stream: Duplex): Promise<void>;
  /** Sends the agents to other replicas. Streams over their tunnels stay open until `stop`. */
  dismiss(): void;
  stop(): Promise<void>;
}

/**
 * A tunnel owner that does not renew its row for this long is gone, and its tunnels have no owner. It renews the row three times in this
 * time.
 */
const OWNER_SECONDS = 15;
const FORGET_SECONDS = 600;
/** Limit of probes caused by closed tunnels. A proxy that goes down closes all tunnels, and the whole fleet must not be probed at once. */
const HINTS_PER_SECOND = 20;

/**
 * Announces this process as a tunnel owner and starts a relay for the rest of the control plane. If `host` is undefined, the relay listens
 * on the address of this process as the database sees it.
 */
export async function startTunnelKeeper(ctx: TunnelContext, at: { host: string | undefined; port: number }): Promise<TunnelKeeper> {
  const { ownerId, hub, older } = ctx.tunnels;
  const key = randomBytes(32).toString('base64url');
  const host = at.host ?? (await findOwnAddress(ctx.db));
  const relay: Relay = await startRelay({ owner: { id: ownerId, key }, hub, older, host, port: at.port }).catch((cause: unknown) => {
    throw new Error(
      `the relay of the tunnels cannot listen on ${host}: set ORION_RELAY_HOST to an address of this machine that the rest of the control plane reaches`,
      { cause },
    );
  });
  /** Tokens of the tunnels that this process has recorded in the database. */
  const recorded = new Set<string>();
  const loop: Loop = createLoop({
    name: 'tunnels',
    intervalMs: (OWNER_SECONDS * 1000) / 3,
    clock: ctx.clock,
    logger: ctx.logger,
    pass: async () => {
      await announce(ctx, { relay, key });
      await dropForgotten(ctx, recorded);
      await sweepOwners(ctx.db, FORGET_SECONDS);
      return 'done';
    },
  });
  await announce(ctx, { relay, key });
  loop.start();
  const hint = createHint(ctx);
  let stopping = false as boolean;
  return {
    take: async (node, stream) => {
      if (await isTwin(ctx, node)) {
        stream.destroy();
        await quarantineTwins(ctx, node);
        return;
      }
      const token = hub.hold(node.id, stream, (ended) => {
        recorded.delete(ended);
        if (!stopping) {
          removeTunnel(ctx.db, node.id, ended).then(
            (last) => last && hint(node.id),
            (error: unknown) => ctx.logger.warn('a tunnel could not be forgotten', { nodeId: node.id, error }),
          );
        }
      });
      await recordTunnel(ctx.db, node.id, { token, ownerId });
      if (hub.holds(node.id, token)) {
        recorded.add(token);
      } else {
        // The tunnel closed before it was recorded.
        await removeTunnel(ctx.db, node.id, token);
      }
      ctx.logger.debug('tunnel held', { nodeId: node.id });
    },
    dismiss: () => {
      stopping = true;
      hub.dismiss();
    },
    stop: async () => {
      stopping = true;
      await loop.stop();
      hub.close();
      await relay.close();
      await withdrawOwner(ctx.db, ownerId);
    },
  };
}

/** Announces this process with new relay tokens. The relay accepts the tokens before another process can read them. */
async function announce({ db, tunnels }: TunnelContext, { relay, key }: { relay: Relay; key: string }): Promise<void> {
  const announced = await nextAnnouncement(db, OWNER_SECONDS);
  relay.admit(announced);
  await announceOwner(db, { id: tunnels.ownerId, url: relay.url, key, announced });
}

/**
 * Whether a second machine uses the node's credential. An agent opens a tunnel only when it has none. If the agent of the recorded tunnel
 * still answers, two machines have the credential. A dismissed tunnel counts as not answering, because its agent is changing to another
 * replica.
 */
async function isTwin(ctx: TunnelContext, node: Node): Promise<boolean> {
  const before = await findTunnel(ctx.db, node.id);
  return before !== undefined && before.alive && isTunnelAnswering(node.id, { owner: before.owner, older: ctx.tunnels.older });
}

async function quarantineTwins(ctx: TunnelContext, node: Node): Promise<void> {
  await transaction(ctx.db, (tx) =>
    quarantine(tx, ctx, { nodeId: node.id, reason: 'its credential is used from two places', actor: `node:${node.id}` }),
  );
  const before = await findTunnel(ctx.db, node.id);
  if (before) {
    // The owner of that tunnel closes it when it no longer finds its row.
    await removeTunnel(ctx.db, node.id, before.token);
  }
  ctx.tunnels.hub.drop(node.id);
}

/** Closes tunnels whose rows are gone. Two tunnels of the node were opened at the same moment, or the node was shut out. */
async function dropForgotten({ db, tunnels: { ownerId, hub } }: TunnelContext, recorded: ReadonlySet<string>): Promise<void> {
  const held = hub.list().filter(({ token }) => recorded.has(token));
  const known = new Set(await listTunnels(db, ownerId));
  for (const { nodeId } of held.filter(({ token }) => !known.has(token))) {
    hub.drop(nodeId);
  }
}

/** Returns a function that makes a node due for a probe at once, because its tunnel closed. */
function createHint(ctx: TunnelContext): (nodeId: number) => void {
  let second = 0;
  let given = 0;
  return (nodeId) => {
    const now = Math.floor(ctx.clock.monotonicMs() / 1000);
    given = now === second ? given + 1 : 1;
    second = now;
    if (given <= HINTS_PER_SECOND) {
      probeSoon(ctx.db, nodeId).catch((error: unknown) => ctx.logger.warn('a node could not be marked for a probe', { nodeId, error }));
    }
  };
}
