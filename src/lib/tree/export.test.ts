import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { aLog, exportOf, headOf, type MemoryLog, verifyDocuments } from '../../../test/support/exported-log';
import { aLogKey } from '../../../test/support/log-key';

const key = aLogKey();

/** Changes of a log by somebody with its key, who computes all hashes anew. Each keeps the first entry at `at` from being what it was. */
const TAMPERINGS: Record<string, (log: MemoryLog, at: number) => MemoryLog> = {
  change: ({ events, salts }, at) => ({ salts, events: events.with(at, `${events[at] ?? ''} `) }),
  delete: ({ events, salts }, at) => ({ salts: salts.toSpliced(at, 1), events: events.toSpliced(at, 1) }),
  insert: ({ events, salts }, at) => ({ salts: salts.toSpliced(at, 0, Buffer.alloc(16)), events: events.toSpliced(at, 0, '{"id":0}') }),
  swap: ({ events, salts }, at) => swap({ events, salts }, at, at === 0 ? 1 : at - 1),
  'cut the tail': ({ events, salts }, at) => ({ salts: salts.slice(0, at), events: events.slice(0, at) }),
};

const swap = ({ events, salts }: MemoryLog, ...[a, b]: [number, number]): MemoryLog => ({
  events: events.with(a, events[b] ?? '').with(b, events[a] ?? ''),
  salts: salts.with(a, salts[b] as Buffer).with(b, salts[a] as Buffer),
});

describe('the verification of an export', () => {
  it('R41: accepts each range of a log', async () => {
    const log = aLog(23);
    for (let from = 0; from <= 23; from += 1) {
      for (let to = from; to <= 23; to += 1) {
        expect(await verifyDocuments(await exportOf(log, key, { from, to }), { key: key.publicKey })).toMatchObject({
          from,
          to,
          withoutEvent: 0,
        });
      }
    }
  });

  it('R41: accepts a head from elsewhere that the log continues', async () => {
    const log = aLog(23);
    const witnessed = headOf(log, key, 17);
    expect(await verifyDocuments(await exportOf(log, key), { key: key.publicKey, witnessed })).toMatchObject({ witnessed: { size: 17 } });
    await expect(verifyDocuments(await exportOf(log, key, { to: 9 }), { key: key.publicKey, witnessed })).rejects.toThrow('export a range');
  });

  it.each(Object.keys(TAMPERINGS))(
    'R41: finds a %s with a head from elsewhere, though all hashes and the head were made anew',
    async (name) => {
      const property = fc.asyncProperty(fc.integer({ min: 2, max: 40 }), fc.nat(), fc.nat(), async (size, a, b) => {
        const log = aLog(size);
        const at = a % size;
        const tampered = TAMPERINGS[name]?.(log, at) ?? log;
        // The history went on after the head was handed out.
        const later = {
          events: [...tampered.events, ...Array.from({ length: name === 'cut the tail' ? 0 : b % 9 }, (_, n) => `later ${n}`)],
          salts: [...tampered.salts, ...aLog(9).salts],
        };
        await expect(verifyDocuments(await exportOf(later, key), { key: key.publicKey, witnessed: headOf(log, key) })).rejects.toThrow(
          /missing|not those/,
        );
      });
      await fc.assert(property);
    },
  );

  it.each([
    ['a changed event', 4, (entry: object) => ({ ...entry, event: '{}' })],
    ['a changed salt', 4, (entry: object) => ({ ...entry, salt: Buffer.alloc(16).toString('base64') })],
    ['a changed number', 4, (entry: object) => ({ ...entry, seq: 5 })],
    ['a changed leaf', 4, (entry: object) => ({ ...entry, leaf: Buffer.alloc(32).toString('base64') })],
  ])('R41: names the entry with %s', async (_name, seq, change) => {
    const [header, ...entries] = await exportOf(aLog(9), key);
    const documents = [header, ...entries.with(seq, change(entries[seq] ?? {}) as never)];
    await expect(verifyDocuments(documents, { key: key.publicKey })).rejects.toMatchObject({ name: 'VerifyError', seq });
  });

  it('R41: counts entries whose event was deleted, and verifies them by the tree alone', async () => {
    const [header, ...entries] = await exportOf(aLog(9), key);
    const pruned = entries.map((entry) => (entry.seq < 4 ? { ...entry, event: null } : entry));
    expect(await verifyDocuments([header, ...pruned], { key: key.publicKey })).toMatchObject({ withoutEvent: 4 });
    await expect(verifyDocuments([header, ...pruned], { key: key.publicKey, complete: true })).rejects.toMatchObject({ seq: 0 });
    const another = pruned.with(2, { ...(entries[2] as (typeof entries)[number]), event: null, leaf: Buffer.alloc(32).toString('base64') });
    await expect(verifyDocuments([header, ...another], { key: key.publicKey })).rejects.toThrow('not those of the signed head');
  });

  it('R41: accepts no head by another key, no other file and no file that is cut off', async () => {
    const documents = await exportOf(aLog(5), key);
    await expect(verifyDocuments(documents, { key: aLogKey().publicKey })).rejects.toThrow('not signed');
    await expect(verifyDocuments(documents, { key: key.publicKey, witnessed: headOf(aLog(5), aLogKey()) })).rejects.toThrow('not signed');
    await expect(verifyDocuments([], { key: key.publicKey })).rejects.toThrow('empty');
    await expect(verifyDocuments([{}], { key: key.publicKey })).rejects.toThrow('header');
    await expect(verifyDocuments(documents.slice(0, -1), { key: key.publicKey })).rejects.toMatchObject({ seq: 4 });
  });
});
