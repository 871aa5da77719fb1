import type { Knex } from 'knex';
import { newSealState, type SealContext, sealEvents } from '../../src/flows/audit/seal-events';
import { systemClock } from '../../src/lib/clock';
import { silentLogger } from '../../src/lib/logger';
import { createCompactRange } from '../../src/lib/tree/compact-range';
import { leafHash } from '../../src/lib/tree/hashes';
import { openHead } from '../../src/lib/tree/note';
import { countEntries, findNewestHead, listEntries, recordEvents } from '../../src/modules/audit';
import { signingKeyOf } from '../../src/ssh';
import { count } from './database';
import { anOpenSshKeyPair } from './keys';

export type Sealing = Omit<SealContext, 'lead'>;

/** A process that seals, with a key of its own. */
export const aSealer = (db: Knex): Sealing => ({
  db,
  clock: systemClock,
  logger: silentLogger,
  key: signingKeyOf(anOpenSshKeyPair().private),
  state: newSealState(),
});

/** Records so many events, in one statement. */
export const someEvents = (db: Knex, events: number): Promise<void> =>
  recordEvents(
    db,
    Array.from({ length: events }, (_, n) => ({ type: 'node.alive', actor: 'scheduler', data: { n, text: 'Ünïcode "quoted"' } })),
  );

/** Seals all events, and signs a head as if the last one were older than it is. */
export async function sealAll(sealer: Sealing): Promise<void> {
  while ((await sealEvents(sealer)) === 'more') {
    // The next batch.
  }
  await sealer.db.raw('UPDATE audit_heads SET created_at = created_at - INTERVAL 1 MINUTE');
  await sealEvents(sealer);
}

/** Returns what is wrong with the sealed log: each event must be in it once, and the newest head must be that of its entries. */
export async function faultsOf({ db, key }: Sealing): Promise<string[]> {
  const faults: string[] = [];
  const tree = createCompactRange();
  const size = await countEntries(db);
  const entries = await listEntries(db, { from: 0, to: size });
  entries.forEach(({ seq, salt, leaf, event }, nth) => {
    if (seq !== nth || event === null || !leafHash(salt, event).equals(leaf)) {
      faults.push(`entry ${seq} is not the event ${event ?? 'null'}`);
    }
    tree.append(leaf);
  });
  const unsealed = await count(db, 'SELECT COUNT(*) FROM events WHERE id NOT IN (SELECT event_id FROM audit_entries)');
  const head = openHead((await findNewestHead(db))?.note ?? '', key.publicKey);
  return [
    ...faults,
    ...(unsealed === 0 ? [] : [`${unsealed} events are not sealed`]),
    ...(head?.size === size && head.root.equals(tree.root()) ? [] : [`the head is of ${head?.size} entries, and there are ${size}`]),
  ];
}
