import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createDirectoryStore } from '../../../src/modules/checkpoints';

async function* of(...parts: (string | Error)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    await Promise.resolve();
    if (part instanceof Error) {
      throw part;
    }
    yield Buffer.from(part);
  }
}

describe('a folder of checkpoints', () => {
  let dir: string;
  let store: ReturnType<typeof createDirectoryStore>;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'orion-store-'));
    store = createDirectoryStore(dir);
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  it('keeps what was written whole, by lease and name', async () => {
    await store.write(7, '1-full', of('a', 'b'));
    await store.write(8, '1-full', of('c'));
    expect(await text(store.read(7, '1-full'))).toBe('ab');
    expect([await store.list(7), (await store.listLeases()).sort()]).toEqual([['1-full'], [7, 8]]);
  });

  it('keeps nothing of what broke off, and the one before stays', async () => {
    await store.write(7, '1-full', of('before'));
    await expect(store.write(7, '2-full', of('half', new Error('cut')))).rejects.toThrow('cut');
    expect(await store.list(7)).toEqual(['1-full']);
    expect(await text(store.read(7, '1-full'))).toBe('before');
  });

  it('shows what a killed process left half written, so that it is tidied up', async () => {
    await store.write(7, '1-full', of('a'));
    writeFileSync(join(dir, 'lease-7', '2-changes.tar.age.new'), 'half');
    expect((await store.list(7)).sort()).toEqual(['1-full', '2-changes']);
    await store.remove(7, ['2-changes']);
    expect(readdirSync(join(dir, 'lease-7'))).toEqual(['1-full.tar.age']);
    await store.remove(7, ['1-full', '3-full']);
    expect(readdirSync(dir)).toEqual([]);
  });

  it('says what it removed of a lease, and whoever still writes for it comes too late', async () => {
    await store.write(7, '1-full', of('12345'));
    async function* slow(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('x');
      await store.removeLease(7);
      yield Buffer.from('y');
    }
    await expect(store.write(7, '2-full', slow())).rejects.toThrow('ENOENT');
    expect(await store.removeLease(7)).toEqual({ files: 0, bytes: 0 });
    await store.write(9, '1-full', of('12345'));
    expect(await store.removeLease(9)).toEqual({ files: 1, bytes: 5 });
    expect(readdirSync(dir)).toEqual([]);
  });

  it("leaves alone what is not a lease's", async () => {
    mkdirSync(join(dir, 'lost+found'));
    writeFileSync(join(dir, 'lease-x'), '');
    expect(await store.listLeases()).toEqual([]);
  });
});
