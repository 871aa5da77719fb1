import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { ExportedEntry } from '../../../src/lib/tree/export';
import { verifierKeyOf } from '../../../src/lib/tree/note';
import { aLog, exportOf, headOf } from '../../support/exported-log';
import { aLogKey } from '../../support/log-key';
import { type Bench, createBench } from './support/cli';
import { problem } from './support/fake-api';

jest.setTimeout(60_000);

const key = aLogKey();
const log = aLog(1_203);
const note = headOf(log, key);
const head = { size: 1_203, root: '', at: '2026-01-31T00:00:00.000Z', note, key: verifierKeyOf(key.publicKey) };

let bench: Bench;
beforeEach(async () => {
  bench = await createBench();
  bench.logIn();
});
afterEach(() => bench.close());

/** Lets the fake API serve the log. */
async function serve(entries?: (all: ExportedEntry[]) => ExportedEntry[]): Promise<void> {
  const [header, ...all] = await exportOf(log, key);
  const served = entries?.(all) ?? all;
  bench.api.on('GET /api/audit/head', { body: head });
  bench.api.on('GET /api/audit/proof', { body: { ...header, head } });
  bench.api.on('GET /api/audit/entries', ({ path }) => {
    const { searchParams } = new URL(path, bench.api.url);
    const [from, limit] = [Number(searchParams.get('cursor')), Number(searchParams.get('limit'))];
    return { body: { items: served.slice(from, from + limit), next_cursor: null } };
  });
}

const save = (name: string, text: string): string => {
  const file = join(bench.home, name);
  writeFileSync(file, text);
  return file;
};

describe('the sealed audit log', () => {
  it('R41: has a head, which is printed as it was signed', async () => {
    await serve();
    const { code, stdout, stderr } = await bench.call(['audit', 'head']);
    expect([code, stdout]).toEqual([0, note]);
    expect(stderr).toContain(head.key);
  });

  it('R41: is exported page by page, and verified without a server', async () => {
    await serve();
    const { code, stdout } = await bench.call(['audit', 'export']);
    expect([code, stdout.split('\n').length]).toEqual([0, 1_205]);
    expect(bench.api.seenAt('GET /api/audit/entries')).toHaveLength(3);
    const file = save('audit.jsonl', stdout);
    // As an agent prints them that met two logs.
    const witnessed = save('head.txt', `${headOf(aLog(3), aLogKey())}\n${headOf(log, key, 700)}`);
    const asked = bench.api.seen.length;
    const verified = await bench.call(['audit', 'verify', file, '--key', save('key', head.key), '--head', witnessed, '--complete']);
    expect(verified).toMatchObject({ code: 0, stdout: expect.stringContaining('1203 entries, from 0 on, are as they were sealed.') });
    expect(verified.stdout).toContain('the given head of 700 entries');
    expect(bench.api.seen).toHaveLength(asked);
  });

  it('R41: names the first bad entry, and ends with 1', async () => {
    await serve((all) => all.map((entry) => (entry.seq === 900 ? { ...entry, event: '{}' } : entry)));
    const file = save('audit.jsonl', (await bench.call(['audit', 'export'])).stdout);
    const verify = (...more: string[]): ReturnType<Bench['call']> => bench.call(['audit', 'verify', file, '--key', head.key, ...more]);
    expect(await verify()).toMatchObject({ code: 1, stdout: 'The event of entry 900 is not the one that was sealed.\n' });
    expect(JSON.parse((await verify('--json')).stdout)).toMatchObject({ verified: false, seq: 900 });
  });

  it('R41: is not exported with a hole', async () => {
    await serve((all) => all.slice(0, 800));
    expect(await bench.call(['audit', 'export'])).toMatchObject({ code: 1, stderr: expect.stringContaining('Entry 800 is missing') });
  });

  it('R41: is not verified with something else than a key, or without a file', async () => {
    expect((await bench.call(['audit', 'verify', 'none', '--key', 'none'])).code).toBe(2);
    expect((await bench.call(['audit', 'verify', 'none', '--key', head.key])).code).toBe(2);
  });

  it.each([
    ['sealed', { body: { ...head, at: new Date().toISOString() } }, [], '✓ audit log: sealed, 1203 entries'],
    [
      'not sealed',
      problem(404, 'not_found', 'The audit log was never sealed: set ORION_AUDIT_KEY_FILE'),
      [],
      '✗ audit log: it is not sealed',
    ],
    ['no longer sealed', { body: head }, [], '✗ audit log: nothing was sealed since 2026-01-31T00:00:00.000Z'],
    ['disputed', { body: head }, [{ node_id: 7 }], '✗ audit log: disputed by node 7'],
  ])('R41: is reported by doctor when it is %s', async (_name, answer, disputes, line) => {
    bench.api.on('GET /api/me', { body: { user: { id: 1, username: 'ada', role: 'admin' } } });
    bench.api.on('GET /api/audit/head', answer);
    bench.api.on('GET /api/audit', { body: { items: disputes, next_cursor: null } });
    expect((await bench.call(['doctor'])).stdout).toContain(line);
  });
});
