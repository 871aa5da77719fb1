import type { Event } from '../../contract';
import type { OrionClient } from '../../client';
import { type CommandContext, withSession } from '../session';
import { formatTime, printable } from '../text';

type AuditQuery = NonNullable<NonNullable<Parameters<OrionClient['/api/audit']['GET']>[0]>['params']>['query'];

/** Named as the members of the query, with `before` for its cursor. */
export interface AuditOptions {
  type?: string;
  actor?: string;
  user?: string;
  node?: number;
  lease?: number;
  from?: string;
  to?: string;
  before?: number;
  limit?: number;
}

const HEAD = ['ID', 'AT', 'EVENT', 'OUTCOME', 'ACTOR', 'USER', 'LEASE', 'NODE', 'ADDRESS', 'DATA'];

const textOf = (value: number | string | null): string => (value === null ? '-' : printable(String(value)));

const rowOf = (event: Event): string[] => [
  textOf(event.id),
  formatTime(event.at),
  ...[event.type, event.outcome, event.actor, event.user_id, event.lease_id, event.node_id, event.address].map(textOf),
  printable(JSON.stringify(event.data)),
];

/** Prints a page of the audit log, newest first. The log only grows, so that no command prints all of it. */
export async function listEvents(context: CommandContext, { before, ...filter }: AuditOptions): Promise<void> {
  await withSession(context, async ({ api, out }) => {
    const query = { ...filter, ...(before === undefined ? {} : { cursor: String(before) }) } as AuditQuery;
    const { data, text } = await api.call((orion) => orion['/api/audit'].GET({ params: { query } }));
    if (out.json) {
      out.document(text);
      return;
    }
    await out.table(HEAD, data.items.map(rowOf), 'There is no such event.');
    if (data.next_cursor !== null) {
      out.next(`orion audit list --before ${data.next_cursor}`);
    }
  });
}
