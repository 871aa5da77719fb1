import { leafHash } from '../../src/lib/tree/hashes';
import { SEALED_COLUMNS, sealedText } from '../../src/modules/audit/sealed-event';
import type { SealedRecord } from './evidence';

const COLUMNS = [...SEALED_COLUMNS.filter((name) => name !== 'at').map((name) => `e.${name}`), 'CAST(e.data AS CHAR) AS data'].join(', ');

/** Reads the entries of the audit log whose events exist, with the hashes that their events have. */
export async function readSealed(rows: (sql: string) => Promise<Record<string, unknown>[]>): Promise<SealedRecord[]> {
  const entries = await rows(
    `SELECT a.seq, a.salt, HEX(a.leaf) AS leaf, ROUND(UNIX_TIMESTAMP(e.at) * 1000) AS at_ms, ${COLUMNS}
       FROM audit_entries a JOIN events e ON e.id = a.event_id ORDER BY a.seq`,
  );
  return entries.map((row) => {
    const text = sealedText({ ...row, at: new Date(Number(row['at_ms'])) } as never);
    return {
      seq: Number(row['seq']),
      leaf: String(row['leaf']),
      hash: leafHash(row['salt'] as Buffer, text)
        .toString('hex')
        .toUpperCase(),
    };
  });
}
