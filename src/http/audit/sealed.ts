import type { Knex } from 'knex';
import type * as contract from '../../contract';
import * as calls from '../../contract/audit';
import { OrionError } from '../../lib/errors';
import { verifierKeyOf } from '../../lib/tree/note';
import { readConsistencyProof, subtreesOf } from '../../lib/tree/proofs';
import { type Entry, findNewestHead, listEntries, readSubtrees, type StoredHead } from '../../modules/audit';
import type { ApiDeps } from '../deps';
import type { RouteMaker } from '../route';

const NEVER_SEALED = 'The audit log was never sealed: set ORION_AUDIT_KEY_FILE on the schedulers.';

/** The sealed audit log, for admins. */
export function addSealedLogRoutes(routes: RouteMaker, { reads }: Pick<ApiDeps, 'reads'>): void {
  routes.on(calls.showAuditHead).answer(async () => ({ status: 200, body: presentHead(await requireHead(reads)) }));
  routes.on(calls.proveAuditRange).answer(async ({ query }) => {
    const head = await requireHead(reads);
    const { from = 0, to = head.size } = query;
    if (from > to || to > head.size) {
      throw new OrionError('invalid_request', `The newest head has ${head.size} entries: use numbers with from <= to <= ${head.size}.`);
    }
    const read = readSubtrees(reads);
    const [before, consistency] = [await read(subtreesOf(0, from)), await readConsistencyProof({ from: to, to: head.size }, read)];
    return { status: 200, body: { head: presentHead(head), from, to, before: before.map(base64), consistency: consistency.map(base64) } };
  });
  routes.on(calls.listAuditEntries).answer(async ({ query: { cursor, limit } }) => {
    const from = Number(cursor ?? 0);
    const entries = await listEntries(reads, { from, to: from + limit });
    return { status: 200, body: { items: entries.map(presentEntry), next_cursor: entries.length === limit ? String(from + limit) : null } };
  });
}

async function requireHead(db: Knex): Promise<StoredHead> {
  const head = await findNewestHead(db);
  if (!head) {
    throw new OrionError('not_found', NEVER_SEALED);
  }
  return head;
}

const base64 = (bytes: Buffer): string => bytes.toString('base64');

const presentHead = ({ size, root, at, note, publicKey }: StoredHead): contract.AuditHead => ({
  size,
  root: base64(root),
  at: at.toISOString(),
  note,
  key: verifierKeyOf(publicKey),
});

const presentEntry = ({ seq, salt, leaf, event }: Entry): contract.AuditEntry => ({ seq, salt: base64(salt), leaf: base64(leaf), event });
