import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Db } from '../../db/transaction';
import type { Clock } from '../../lib/clock';
import { withDeadline } from '../../lib/clock';
import type { Dial } from '../../ssh';
import { NoTunnelError, type TunnelHub } from './hub';
import { findTunnel } from './queries/tunnels';
import { RELAY_HEADER, RELAY_PROTOCOL } from './relay';
import type { RelayKeys } from './relay-keys';
import type { TunnelHolder } from './types';

export interface TunnelDialDeps {
  db: Db;
  clock: Clock;
  keys: RelayKeys;
  /** The tunnels of this very process, if it holds any. */
  own?: { holderId: string; hub: TunnelHub };
}

/** No tunnel on record, or one whose holder is gone. */
type Outcome = Duplex | 'none' | 'lost';

const LOOK_AGAIN_MS = 200;
/** An agent that lost its tunnel opens the next one within about a second. */
const NO_TUNNEL_MS = 1_500;
const ASK_MS = 5_000;

/**
 * Dials a node through the tunnel of its agent, whichever replica holds it. While the node has none it waits a moment for the next (unless told not to),
 * and for as long as the caller does when the replica that held it is gone: that is the control plane's fault and not the node's.
 */
export function createTunnelDial(deps: TunnelDialDeps): Dial {
  const attempt = async (nodeId: number, signal: AbortSignal): Promise<Outcome> => {
    const found = await findTunnel(deps.db, nodeId);
    if (!found) {
      return 'none';
    }
    try {
      return await (found.holder.id === deps.own?.holderId ? deps.own.hub.open(nodeId, signal) : openThrough(deps.keys, { nodeId, holder: found.holder, signal }));
    } catch (error) {
      if (error instanceof HolderGoneError || error instanceof NoTunnelError) {
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

/** The holder cannot be reached, or has no such tunnel (any more). */
class HolderGoneError extends Error {
  override name = 'HolderGoneError';
}

interface Way {
  nodeId: number;
  holder: TunnelHolder;
  signal: AbortSignal;
}

function ask(token: string, { nodeId, holder, signal }: Way, headers: Record<string, string>): ClientRequest {
  return request(`${holder.url}/tunnels/${nodeId}`, { agent: false, signal, headers: { ...headers, authorization: `Bearer ${token}` } });
}

/** Whether a holder of the release before this one refused: it takes no token that ends, and says nothing of its version. */
const isOlder = ({ statusCode, headers }: IncomingMessage): boolean => statusCode === 404 && headers[RELAY_HEADER] === undefined;

class OlderHolderError extends Error {
  override name = 'OlderHolderError';
}

/** Does `attempt` with a token that ends; with one that does not only if the holder is of the release before this one, during a rolling update. */
async function withToken<T>(keys: RelayKeys, { holder, nodeId }: Way, attempt: (token: string) => Promise<T>): Promise<T> {
  try {
    return await attempt(keys.sign(holder, nodeId));
  } catch (error) {
    if (error instanceof OlderHolderError) {
      return attempt(keys.signUndated(holder.id, nodeId));
    }
    throw error;
  }
}

function openThrough(keys: RelayKeys, way: Way): Promise<Duplex> {
  return withToken(keys, way, (token) => openWith(token, way)).catch((error: unknown) => {
    throw error instanceof OlderHolderError ? new HolderGoneError('no such tunnel') : error;
  });
}

function openWith(token: string, way: Way): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const asked = ask(token, way, { connection: 'Upgrade', upgrade: RELAY_PROTOCOL });
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
      reject(isOlder(res) ? new OlderHolderError() : res.statusCode === 404 ? new HolderGoneError('no such tunnel') : new Error('the node does not answer through its tunnel'));
    });
    asked.once('error', (error: NodeJS.ErrnoException) => reject(way.signal.aborted ? error : new HolderGoneError(error.message)));
    asked.end();
  });
}

/** Whether the agent at the far end of a recorded tunnel gives a sign of life. */
export async function isTunnelAnswering(keys: RelayKeys, nodeId: number, holder: TunnelHolder): Promise<boolean> {
  const status = await withDeadline(
    ASK_MS,
    (signal) => withToken(keys, { nodeId, holder, signal }, (token) => statusWith(token, { nodeId, holder, signal })),
  ).catch(() => 0);
  return status === 200;
}

function statusWith(token: string, way: Way): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = ask(token, way, {});
    asked.once('response', (res) => {
      res.resume();
      if (isOlder(res)) {
        reject(new OlderHolderError());
      } else {
        resolve(res.statusCode ?? 0);
      }
    });
    asked.once('error', reject);
    asked.end();
  });
}
