import { type ClientRequest, request } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Db } from '../../db/transaction';
import type { Clock } from '../../lib/clock';
import { withDeadline } from '../../lib/clock';
import type { Dial } from '../../ssh';
import { NoTunnelError, type TunnelHub } from './hub';
import { findTunnel } from './queries/tunnels';
import { RELAY_PROTOCOL } from './relay';
import { type OlderTokens, relayToken } from './relay-tokens';
import type { TunnelOwner } from './types';

export interface TunnelDialDeps {
  db: Db;
  clock: Clock;
  /** Tokens for owners of the previous release; only in an API. */
  older?: OlderTokens | undefined;
  /** The tunnels of this process, if it owns any. */
  own?: { ownerId: string; hub: TunnelHub };
}

/** `none`: the database has no tunnel of the node. `lost`: the owner of the tunnel is gone. */
type Outcome = Duplex | 'none' | 'lost';

const LOOK_AGAIN_MS = 200;
/** How long to wait for a tunnel. An agent that lost its tunnel opens the next one within about a second. */
const NO_TUNNEL_MS = 1_500;
const ASK_MS = 5_000;

/**
 * Connects to a node through the tunnel of its agent, whichever replica owns it. If the node has no tunnel, the call waits 1.5 s for one,
 * unless `awaitTunnel` is false. If the owning replica is gone, the call waits as long as its caller does: the fault is the control plane's
 * and not the node's.
 */
export function createTunnelDial(deps: TunnelDialDeps): Dial {
  const attempt = async (nodeId: number, signal: AbortSignal): Promise<Outcome> => {
    const found = await findTunnel(deps.db, nodeId);
    if (!found) {
      return 'none';
    }
    try {
      return await (found.owner.id === deps.own?.ownerId
        ? deps.own.hub.open(nodeId, signal)
        : openThrough({ nodeId, owner: found.owner, older: deps.older, signal }));
    } catch (error) {
      if (error instanceof OwnerGoneError || error instanceof NoTunnelError) {
        return 'lost';
      }
      throw error;
    }
  };
  return async ({ nodeId, awaitTunnel = true }, signal) => {
    const begunAt = deps.clock.monotonicMs();
    let last: Outcome = 'none';
    while (!signal.aborted) {
      const before: Outcome = last;
      last = await attempt(nodeId, signal).catch((error: unknown): Outcome => {
        if (signal.aborted) {
          return before;
        }
        throw error;
      });
      if (typeof last !== 'string') {
        return last;
      }
      if (last === 'none' && (!awaitTunnel || deps.clock.monotonicMs() - begunAt > NO_TUNNEL_MS)) {
        break;
      }
      await deps.clock.sleep(LOOK_AGAIN_MS, signal);
    }
    throw new Error(last === 'lost' ? 'the replica that holds its tunnel does not answer' : 'it has no tunnel');
  };
}

/** The owner cannot be reached, or does not have the tunnel (any more). */
class OwnerGoneError extends Error {
  override name = 'OwnerGoneError';
}

interface Way {
  nodeId: number;
  owner: TunnelOwner;
  older: OlderTokens | undefined;
  signal: AbortSignal;
}

/**
 * Returns the token for the tunnel's owner. Throws OwnerGoneError for an owner of the previous release, unless this process can sign that
 * release's tokens.
 */
function tokenFor({ nodeId, owner, older }: Way): string {
  if (owner.key === null && older === undefined) {
    throw new OwnerGoneError('the replica that holds the tunnel is of an older release: update the APIs first');
  }
  return owner.key === null && older !== undefined ? older.sign(owner.id, nodeId) : relayToken(owner, nodeId);
}

function ask(way: Way, headers: Record<string, string>): ClientRequest {
  return request(`${way.owner.url}/tunnels/${way.nodeId}`, {
    agent: false,
    signal: way.signal,
    headers: { ...headers, authorization: `Bearer ${tokenFor(way)}` },
  });
}

function openThrough(way: Way): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const asked = ask(way, { connection: 'Upgrade', upgrade: RELAY_PROTOCOL });
    asked.once('upgrade', (_res, socket, head) => {
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      const cut = (): void => void socket.destroy();
      way.signal.addEventListener('abort', cut, { once: true });
      socket.once('close', () => way.signal.removeEventListener('abort', cut));
      socket.unshift(head);
      resolve(socket);
    });
    asked.once('response', (res) => {
      res.resume();
      reject(res.statusCode === 404 ? new OwnerGoneError('no such tunnel') : new Error('the node does not answer through its tunnel'));
    });
    asked.once('error', (error: NodeJS.ErrnoException) => reject(way.signal.aborted ? error : new OwnerGoneError(error.message)));
    asked.end();
  });
}

/** Whether the agent behind a recorded tunnel answers a ping. */
export async function isTunnelAnswering(nodeId: number, { owner, older }: Pick<Way, 'owner' | 'older'>): Promise<boolean> {
  const status = await withDeadline(ASK_MS, (signal) => statusOf({ nodeId, owner, older, signal })).catch(() => 0);
  return status === 200;
}

function statusOf(way: Way): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = ask(way, {});
    asked.once('response', (res) => {
      res.resume();
      resolve(res.statusCode ?? 0);
    });
    asked.once('error', reject);
    asked.end();
  });
}
