import { ApiError, CliError, usageError } from '../errors';
import { EXIT } from '../exit-codes';
import { type CommandContext, type Session, withSession } from '../session';
import { formatTime, printable } from '../text';
import type { OpenSession } from '../../contract';

const SHOWN_CHARACTERS = 8;
const HEAD = ['ID', 'CREATED', 'LAST USED', 'EXPIRES', 'ADDRESS', 'CLIENT'];

const rowOf = ({ id, created_at, last_used_at, expires_at, address, client, current }: OpenSession): string[] => [
  id.slice(0, SHOWN_CHARACTERS),
  formatTime(created_at),
  formatTime(last_used_at),
  formatTime(expires_at),
  address ?? '-',
  `${printable(client ?? '-')}${current ? '  (this one)' : ''}`,
];

export async function listSessions(context: CommandContext): Promise<void> {
  await withSession(context, async ({ api, out }) => {
    const { data, text } = await api.call((orion) => orion['/api/me/sessions'].GET());
    if (out.json) {
      out.document(text);
      return;
    }
    await out.table(HEAD, data.items.map(rowOf), 'No session is recorded yet: look again in a minute.');
    out.next('orion sessions end ID', 'orion sessions end --all');
  });
}

/** Ends one session, or all of them with this one. `id` may be the beginning of an id, as the list shows it. */
export async function endSession(context: CommandContext, id: string | undefined, { all }: { all?: boolean }): Promise<void> {
  if ((id === undefined) === (all !== true)) {
    throw usageError('Give either the id of a session or --all.', 'orion sessions lists them.');
  }
  await withSession(context, async (session) => {
    await (id === undefined ? endAll(session) : endOne(session, id));
  });
}

async function endOne({ api, out }: Session, id: string): Promise<void> {
  const {
    data: { items },
  } = await api.call((orion) => orion['/api/me/sessions'].GET());
  const found = items.filter((each) => each.id.startsWith(id));
  const [only] = found;
  if (only === undefined || found.length > 1) {
    throw new CliError(
      only === undefined ? `You have no session ${id}.` : `${found.length} sessions begin with ${id}: give more of the id.`,
      {
        exitCode: only === undefined ? EXIT.notFound : EXIT.usage,
        hint: 'orion sessions lists them.',
      },
    );
  }
  await endIt((onRetry) => api.call((orion) => orion['/api/me/sessions/{id}'].DELETE({ params: { path: { id: only.id } } }), { onRetry }));
  out.line(`session ${only.id.slice(0, SHOWN_CHARACTERS)} ended`);
  out.next(only.current ? 'orion login' : 'orion sessions');
}

async function endAll({ api, out }: Session): Promise<void> {
  await endIt((onRetry) => api.call((orion) => orion['/api/me/sessions'].DELETE(), { onRetry }));
  out.line('all sessions ended, also this one');
  out.next('orion login');
}

/** A repeated request is refused if the first one ended this session and its answer was lost. */
async function endIt(call: (onRetry: () => void) => Promise<unknown>): Promise<void> {
  let repeated = false;
  await call(() => void (repeated = true)).catch((error: unknown) => {
    if (!repeated || !(error instanceof ApiError) || error.status !== 401) {
      throw error;
    }
  });
}
