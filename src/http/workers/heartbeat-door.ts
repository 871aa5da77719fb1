import type { BodyOf } from '../../contract';
import { heartbeat } from '../../contract/workers';
import { type HeartbeatContext, type SealedAnswer, type ShownHeartbeat, takeHeartbeats } from '../../flows/record-heartbeat';
import { createBatcher, fulfilled } from '../../lib/batcher';
import { createSeal } from '../../lib/call-mac';
import { withDeadline } from '../../lib/clock';
import { OrionError } from '../../lib/errors';
import type { CallerHints } from '../../modules/nodes';
import type { ApiSettings } from '../deps';
import { bytesOfBody } from '../body';
import type { Door } from '../door';
import { readShownNode, type ShownNode } from '../node-caller';
import { parse } from '../route';
import { presentHeartbeat, presentUsual, toHeartbeat } from './heartbeat-call';

interface Batches {
  ctx: HeartbeatContext;
  settings: ApiSettings;
  hints: CallerHints;
}

/** Twice as many make the database no faster, and leave the process idle meanwhile. */
const MAX_BATCH = 250;
const DEADLINE_MS = 5_000;

/** For the one call that comes thousands of times a second, and is written with others (docs/adr/0020-heartbeats.md). */
export function createHeartbeatDoor(ctx: HeartbeatContext, settings: ApiSettings): Door {
  const usual = presentUsual(settings);
  const hints: CallerHints = new Map();
  const batcher = createBatcher<ShownHeartbeat, SealedAnswer | undefined>({
    window: { ms: settings.heartbeatBatchMs, clock: ctx.clock },
    max: MAX_BATCH,
    work: async (heartbeats) => fulfilled(await takeBatch({ ctx, settings, hints }, heartbeats)),
  });
  return {
    path: heartbeat.path,
    take: async ({ req, body }) => {
      const shown = readShownNode(req.headers.authorization, { method: 'POST', path: heartbeat.path, body: bytesOfBody(req) });
      const call = shown && readHeartbeat(body, shown);
      const answer = call && (await batcher.add(call));
      const nonce = shown?.nonce;
      return answer && { status: 200, body: presentHeartbeat(answer, usual), ...(nonce === undefined ? {} : { seal: createSeal(answer.credentialHash, nonce) }) };
    },
  };
}

/** Undefined for what is not valid: the route says why, to those who may know. */
function readHeartbeat(body: unknown, { keyId, isFrom }: ShownNode): ShownHeartbeat | undefined {
  try {
    return { ...toHeartbeat(parse(heartbeat.body, body, 'body') as BodyOf<typeof heartbeat>), keyId, isFrom };
  } catch {
    return undefined;
  }
}

/** Nothing is lost when it fails: agents try again, each after a time of its own. */
async function takeBatch({ ctx, settings, hints }: Batches, heartbeats: ShownHeartbeat[]): Promise<(SealedAnswer | undefined)[]> {
  try {
    return await withDeadline(DEADLINE_MS, () => takeHeartbeats(ctx, heartbeats, hints));
  } catch (error) {
    ctx.logger.error('heartbeats could not be written', { heartbeats: heartbeats.length, error });
    throw new OrionError('unavailable', 'Heartbeats cannot be taken now. Try again.', { retryAfterSeconds: settings.heartbeatIntervalSeconds * Math.random(), cause: error });
  }
}
