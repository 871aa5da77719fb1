import type { ServerResponse } from 'node:http';
import type { Clock } from '../../lib/clock';
import type { Principal, User } from '../../modules/accounts';
import type { NodeFeed } from './feed';
import { createOutlet, type Outlet } from './outlet';
import type { ReadPage, SnapshotPages } from './pages';
import { PING } from './sent-events';

const PING_MS = 15_000;

interface StreamDeps {
  clock: Clock;
  feed: NodeFeed;
  stopping: AbortSignal;
}

/**
 * Sends the fleet and its changes as server-sent events (R15). The snapshot is sent in pages: first `snapshot`, then `nodes` while the
 * previous page had `more`. The next page follows when the client has taken the previous one. `node` and `gone` events report changes from
 * the start. Resolves when the client disconnects or stops reading, loses its right to watch, or the replica stops. Clients then connect
 * again, to another replica.
 */
export async function streamNodes({ clock, feed, stopping }: StreamDeps, res: ServerResponse, principal: Principal): Promise<void> {
  const { user } = principal;
  const closed = new AbortController();
  res.on('close', () => closed.abort());
  // Combined signals would accumulate on `stopping`, which lives as long as the process.
  const stop = (): void => closed.abort();
  stopping.addEventListener('abort', stop);
  if (stopping.aborted) {
    stop();
  }
  const over = closed.signal;
  const outlet = createOutlet(res);
  const admin = user.role === 'admin';
  // A page can be older than changes that arrive while it is read. So these changes wait until the page is written.
  let held: Buffer[] | undefined;
  const unwatch = feed.watch(user.id, (news) => {
    const bytes = admin ? news.forAdmins() : news.forUser(user.id);
    if (held) {
      held.push(bytes);
    } else {
      outlet.write(bytes);
    }
  });
  const unjudge = feed.rights.judge(principal, () => {
    closed.abort();
    endOrCut(res);
  });
  const readPage = pagesFor(feed.pages, user);
  const sendPage = async (afterId: number): Promise<number | undefined> => {
    held = [];
    const { items, nextAfterId } = await readPage(afterId);
    const [head, tail] = [`event: ${afterId === 0 ? 'snapshot' : 'nodes'}\ndata: {"items":[`, `],"more":${nextAfterId !== undefined}}\n\n`];
    outlet.write(Buffer.from(head), items, Buffer.from(tail), ...held);
    held = undefined;
    return nextAfterId;
  };
  try {
    res.writeHead(200, {
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-store',
      Connection: 'keep-alive',
      'X-Accel-Buffering': 'no',
    });
    await Promise.all([ping(outlet, clock, over), sendSnapshot(sendPage, outlet, over)]);
  } finally {
    unwatch();
    unjudge();
    stopping.removeEventListener('abort', stop);
    res.end();
  }
}

/** Ends the answer. A client that reads too slowly would not read the end either, so its connection is cut. */
function endOrCut(res: ServerResponse): void {
  if (res.writableNeedDrain) {
    res.destroy();
  } else {
    res.end();
  }
}

async function ping(outlet: Outlet, clock: Clock, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    outlet.ping(PING);
    await clock.sleep(PING_MS, over);
  }
}

/** Returns the reader of a user's pages. For users who are no admins, the first page begins with their own nodes. */
function pagesFor(pages: SnapshotPages, user: User): ReadPage {
  if (user.role === 'admin') {
    return pages.all;
  }
  return async (afterId) => {
    if (afterId > 0) {
      return pages.free(afterId);
    }
    const own = await pages.ofUser(user.id);
    const free = await pages.free(afterId);
    const comma = Buffer.from(own.items.length > 0 && free.items.length > 0 ? ',' : '');
    return { items: Buffer.concat([own.items, comma, free.items]), nextAfterId: free.nextAfterId };
  };
}

async function sendSnapshot(sendPage: (afterId: number) => Promise<number | undefined>, outlet: Outlet, over: AbortSignal): Promise<void> {
  let next: number | undefined = 0;
  while (next !== undefined && !over.aborted) {
    next = await sendPage(next);
    await outlet.taken();
  }
}
