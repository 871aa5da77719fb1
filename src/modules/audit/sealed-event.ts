import type { EventRow } from './queries/events';

/** The format that new entries have. A change of what `sealedText` returns needs another one: an entry is verified in its own format. */
export const SEALED_FORMAT = 1;

/** The columns of an event that are sealed, in the order of the sealed text. `data` follows them. */
export const SEALED_COLUMNS = [
  ...['id', 'at', 'type', 'outcome', 'actor', 'lease_id', 'node_id', 'user_id'],
  ...['address', 'request_id', 'token_id', 'trace_id'],
];

/** An event as it is sealed: with the text of `data` exactly as the database returns it. */
export type SealedRow = Omit<EventRow, 'data' | 'type'> & { type: string; trace_id: string | null; data: string };

/**
 * Returns the text that is sealed: a JSON object whose members have a fixed order. `data` is the last member and is copied as it is, so
 * that no change of it goes unnoticed.
 */
export function sealedText(event: SealedRow): string {
  return `${JSON.stringify(event, SEALED_COLUMNS).slice(0, -1)},"data":${event.data}}`;
}
