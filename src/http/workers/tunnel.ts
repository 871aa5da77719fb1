import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { Knex } from 'knex';
import { messageOf, OrionError } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import { MAX_MESSAGE_BYTES, streamOverWebSocket } from '../../lib/websocket-stream';
import { readChallenge, spendChallenge } from '../../flows/enrolment/prove-machine';
import { type Challenges, findNode, type Node } from '../../modules/nodes';
import type { RefusalLog } from '../../modules/audit';
import { type FindNodeCaller, readShownNode } from '../node-caller';
import { newRequestId } from '../observe';
import { refuseUpgrade } from '../problem';
import { refusalOf } from '../refusals';

export interface TunnelEntrance {
  db: Knex;
  findNodeCaller: FindNodeCaller;
  challenges: Challenges;
  refusals: RefusalLog;
  logger: Logger;
  /** Aborts when the replica begins to stop. After that, it accepts no tunnel. */
  stopping: AbortSignal;
  /** Takes over the stream of an agent that showed its credential. */
  take: (node: Node, stream: Duplex) => Promise<void>;
}

const PATH = '/api/workers/tunnel';
/** Handshakes that wait for the database at the same time. Further agents are refused and try again later. */
const MAX_PENDING = 1_000;

const REFUSALS = {
  elsewhere: () =>
    new OrionError(
      'invalid_request',
      `Nothing is upgraded here but GET ${PATH}, to a WebSocket. Send any other request without Upgrade (curl: --http1.1).`,
    ),
  unauthenticated: () => new OrionError('unauthenticated', 'Show the credential that the machine got when it was registered.'),
  retired: () => new OrionError('node_retired', 'The machine was retired. Enrol it again to use it.'),
  quarantined: () => new OrionError('forbidden', 'The machine is in quarantine until an operator approves it.'),
  pending: () =>
    new OrionError(
      'forbidden',
      "The machine waits for an operator's approval. It gets a tunnel when it is approved; try again until then.",
      { retryAfterSeconds: 5 },
    ),
  busy: () => new OrionError('unavailable', 'This replica takes no tunnel now. Try again.', { retryAfterSeconds: 2 }),
} satisfies Record<string, () => OrionError>;

/** Nodes with these statuses get no tunnel. */
const SHUT_OUT = ['retired', 'quarantined', 'pending'] as const satisfies (keyof typeof REFUSALS)[];

/**
 * Accepts `GET /api/workers/tunnel` as a WebSocket. It is the transport to a machine that accepts no connections from outside. Every other
 * upgrade is refused. The audit log records refusals, except those of machines that wait for approval, which come again every few seconds.
 */
export function acceptTunnels(server: Server, { logger, stopping, take, refusals, ...deps }: TunnelEntrance): void {
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: MAX_MESSAGE_BYTES });
  let pending = 0;
  const accept = async (req: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const node = stopping.aborted || pending > MAX_PENDING ? 'busy' : await findCaller(deps, req);
    if (typeof node === 'string') {
      const [error, requestId] = [REFUSALS[node](), newRequestId()];
      const refusal = node === 'pending' ? undefined : refusalOf(error, { req, locals: { requestId }, path: PATH });
      await (refusal && refusals.note(refusal));
      refuseUpgrade(socket, error, requestId);
      return;
    }
    sockets.handleUpgrade(req, socket, head, (opened) => {
      const stream = streamOverWebSocket(opened);
      stream.on('error', (error) => logger.debug('tunnel broken', { nodeId: node.id, reason: error.message }));
      take(node, stream).catch((error: unknown) => {
        logger.warn('tunnel refused', { nodeId: node.id, reason: messageOf(error) });
        stream.destroy();
      });
    });
  };
  server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => undefined);
    pending += 1;
    accept(req, socket, head)
      .catch((error: unknown) => {
        logger.warn('tunnel refused', { reason: messageOf(error) });
        refuseUpgrade(socket, error instanceof OrionError ? error : REFUSALS.busy());
      })
      .finally(() => {
        pending -= 1;
      });
  });
}

/**
 * Finds the node that requests a tunnel, or the reason for a refusal. Throws state_conflict for an upgrade that was recorded and sent
 * again.
 */
async function findCaller(
  ctx: Pick<TunnelEntrance, 'db' | 'findNodeCaller' | 'challenges'>,
  { url, headers }: IncomingMessage,
): Promise<Node | keyof typeof REFUSALS> {
  if (url !== PATH || headers.upgrade?.toLowerCase() !== 'websocket') {
    return 'elsewhere';
  }
  const shown = readShownNode(headers.authorization, { method: 'GET', path: PATH, body: '' });
  const caller = shown && (await ctx.findNodeCaller(shown));
  if (!caller) {
    return 'unauthenticated';
  }
  const { nodeId, mac } = caller;
  const node = await findNode(ctx.db, nodeId);
  const shutOut = SHUT_OUT.find((status) => status === node?.status);
  if (mac && !shutOut) {
    await spendChallenge(ctx.db, nodeId, await readChallenge(ctx, mac.nonce));
  }
  return shutOut ?? node ?? 'unauthenticated';
}
