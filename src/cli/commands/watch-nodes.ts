import { backoffSeconds } from '../../lib/backoff';
import { ApiError, CliError, NoAnswerError } from '../errors';
import { describeNode, NODE_HEAD, nodeRow } from '../node-view';
import { layOut } from '../output';
import { type CommandContext, type Session, withSession } from '../session';
import { readEvents, type ServerEvent } from '../sse';
import type { Node } from '../../contract';

const BACKOFF = { firstSeconds: 0.5, maxSeconds: 10 };

/** The watcher's copy of the fleet. */
type Fleet = Map<number, Node>;
type Show = (event: ServerEvent, fleet: Fleet) => Promise<void>;

/**
 * Prints the changes of the fleet until it is interrupted, and reconnects when the stream ends. On a terminal it redraws a table. Otherwise
 * it writes one line for each change, or one JSON document a line with `--json`.
 */
export async function watchNodes(context: CommandContext): Promise<void> {
  await withSession(context, async (session) => {
    const show = createShow(session);
    const fleet: Fleet = new Map();
    for (let failures = 0; ;) {
      try {
        for await (const event of readEvents(await session.api.openStream('/api/nodes/stream'))) {
          failures = 0;
          apply(event, fleet);
          await show(event, fleet);
        }
      } catch (error) {
        if (!isPassing(error) || (error instanceof NoAnswerError && failures === 0 && fleet.size === 0)) {
          throw error;
        }
      }
      failures += 1;
      session.out.note('The stream ended; connecting again.');
      await session.io.clock.sleep(backoffSeconds(BACKOFF, failures, Math.random()) * 1000);
    }
  });
}

/** Whether a new connection may succeed. A broken connection throws an error that is neither ApiError nor CliError. */
function isPassing(error: unknown): boolean {
  return error instanceof NoAnswerError || (error instanceof ApiError ? error.status >= 500 : !(error instanceof CliError));
}

function apply({ event, data }: ServerEvent, fleet: Fleet): void {
  if (event === 'snapshot') {
    fleet.clear();
  }
  if (isPage(event)) {
    itemsOf(data).forEach((node) => fleet.set(node.id, node));
  } else if (event === 'node') {
    const node = JSON.parse(data) as Node;
    fleet.set(node.id, node);
  } else if (event === 'gone') {
    fleet.delete((JSON.parse(data) as { id: number }).id);
  }
}

/** The snapshot of a large fleet continues in `nodes` events. */
const isPage = (event: string): boolean => event === 'snapshot' || event === 'nodes';
const itemsOf = (data: string): Node[] => (JSON.parse(data) as { items: Node[] }).items;

function createShow({ io, out }: Session): Show {
  if (out.json) {
    return ({ event, data }) => {
      out.document(`{"event":${JSON.stringify(event)},"data":${data}}`);
      return Promise.resolve();
    };
  }
  if (io.stdout.isTTY === true) {
    return async (_event, fleet) => {
      const table = await layOut(
        NODE_HEAD.map((cell) => out.colors.bold(cell)),
        [...fleet.values()].map(nodeRow),
      );
      // Moves the cursor home, clears each line to its end and then the rest of the screen. This avoids flicker.
      io.stdout.write(`\x1b[H${table.replaceAll('\n', '\x1b[K\n')}\x1b[K\n\x1b[J`);
    };
  }
  return ({ event, data }) => {
    if (isPage(event)) {
      itemsOf(data).forEach((node) => out.line(describeNode(node)));
    } else if (event === 'node') {
      out.line(describeNode(JSON.parse(data) as Node));
    } else if (event === 'gone') {
      out.line(`node ${(JSON.parse(data) as { id: number }).id}  gone`);
    }
    return Promise.resolve();
  };
}
