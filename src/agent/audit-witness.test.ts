import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { aLog, headOf, leavesReader, type MemoryLog, rootOf } from '../../test/support/exported-log';
import { aLogKey } from '../../test/support/log-key';
import { silentLogger } from '../lib/logger';
import { verifierKeyOf } from '../lib/tree/note';
import { readConsistencyProof } from '../lib/tree/proofs';
import { type AuditWitness, createAuditWitness, listKeptHeads } from './audit-witness';
import type { AuditOffer } from './wire';

const key = aLogKey();
let stateDir: string;
let nowMs: number;
/** The log that the control plane proves. */
let served: MemoryLog;
let disputes: unknown[];

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'orion-witness-'));
  [nowMs, served, disputes] = [0, aLog(30), []];
});
afterEach(() => rmSync(stateDir, { recursive: true }));

const aWitness = (): AuditWitness =>
  createAuditWitness({
    stateDir,
    intervalSeconds: 600,
    clock: { monotonicMs: () => nowMs } as never,
    logger: { ...silentLogger, error: (_message, fields) => void disputes.push(fields?.['reason']) },
    prove: async (sizes) => ({ kind: 'ok', value: await readConsistencyProof(sizes, leavesReader(served)) }),
  });

const offer = (log: MemoryLog, size: number, by = key): AuditOffer => ({ note: headOf(log, by, size), key: verifierKeyOf(by.publicKey) });
const keptSizes = async (): Promise<string[]> => (await listKeptHeads(stateDir)).map((note) => note.split('\n')[1] ?? '');

describe('the witness of the audit log', () => {
  it('R41: keeps the first head, and each that continues it, for root alone', async () => {
    const witness = aWitness();
    for (const size of [0, 5, 5, 17, 30]) {
      await witness.answered(offer(served, size));
      expect(await keptSizes()).toEqual([String(size)]);
    }
    expect(disputes).toEqual([]);
    expect(statSync(join(stateDir, 'agent', 'audit-heads.json')).mode & 0o777).toBe(0o600);
  });

  it.each([
    ['a head of fewer entries', () => offer(served, 12)],
    ['another root for as many entries', () => offer(changed(served), 17)],
    ['a longer log with another beginning', () => offer((served = changed(served)), 30)],
    ['a head that its key did not sign', () => ({ ...offer(served, 30), key: verifierKeyOf(aLogKey().publicKey) })],
  ])('R41: does not keep %s, and reports it', async (_name, next) => {
    const witness = aWitness();
    await witness.answered(offer(served, 17));
    await witness.answered(next());
    expect(await keptSizes()).toEqual(['17']);
    expect(disputes).toHaveLength(1);
    expect(await witness.describe()).toEqual({ audit_dispute: disputes[0] });
    await witness.answered(undefined);
    expect(await witness.describe()).toEqual({});
  });

  it('R41: reports once that something damaged its heads, and takes no other in their place', async () => {
    await aWitness().answered(offer(served, 17));
    const file = join(stateDir, 'agent', 'audit-heads.json');
    writeFileSync(file, '[{"key":');
    const witness = aWitness();
    expect(await witness.describe()).toEqual({
      audit_dispute: expect.stringContaining('the heads that this machine keeps cannot be read'),
    });
    await witness.answered(offer(served, 30));
    nowMs += 1_000_000;
    expect(await witness.describe()).toEqual({});
    expect(readFileSync(file, 'utf8')).toBe('[{"key":');
  });

  it('R41: stays with its head after a restart', async () => {
    await aWitness().answered(offer(served, 17));
    const witness = aWitness();
    expect(await witness.describe()).toEqual({ audit_head: { size: 17, root: rootOf(served, 17).toString('base64') } });
    await witness.answered(offer(changed(served), 17));
    expect(await keptSizes()).toEqual(['17']);
  });

  it('R41: keeps the head of a log with another key beside the old one, and reports it', async () => {
    const witness = aWitness();
    await witness.answered(offer(served, 17));
    await witness.answered(offer(served, 3, aLogKey()));
    expect(await keptSizes()).toEqual(['17', '3']);
    expect(disputes).toEqual([expect.stringContaining('another key')]);
  });

  it('R41: keeps the old head while no proof comes', async () => {
    await aWitness().answered(offer(served, 17));
    const witness = createAuditWitness({
      stateDir,
      intervalSeconds: 600,
      clock: { monotonicMs: () => 0 } as never,
      logger: silentLogger,
      prove: () => Promise.resolve({ kind: 'failed', reason: 'no connection' }),
    });
    await witness.answered(offer(served, 30));
    expect(await keptSizes()).toEqual(['17']);
    expect((await witness.describe()).audit_dispute).toBeUndefined();
  });

  it('R41: asks in its first heartbeat, and then in some of them', async () => {
    const witness = aWitness();
    expect(await witness.describe()).toEqual({ audit_head: { size: 0, root: '' } });
    await witness.answered(undefined);
    nowMs = 479_000;
    expect(await witness.describe()).toEqual({});
    nowMs = 721_000;
    expect(await witness.describe()).toHaveProperty('audit_head');
  });
});

const changed = ({ events, salts }: MemoryLog): MemoryLog => ({ salts, events: events.with(3, 'another event') });
