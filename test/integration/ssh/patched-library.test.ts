import { cpSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { createLab, projectDir, run, type RunResult } from '../../lab';
import { close, useForEach } from '../../support/hooks';

/** A project of its own that has the library as npm installs it, without the patch. */
const lab = useForEach(createLab, close);
let library: string;
beforeEach(() => {
  library = join(lab.dir, 'node_modules', 'ssh2');
  mkdirSync(join(lab.dir, 'scripts'));
  cpSync(join(projectDir, 'scripts', 'patch-ssh2.mjs'), join(lab.dir, 'scripts', 'patch-ssh2.mjs'));
  cpSync(join(projectDir, 'node_modules', 'ssh2'), library, {
    recursive: true,
    filter: (file) => !/ssh2\/(node_modules|test|examples)/.test(file),
  });
  FILES.forEach((file) => renameSync(join(library, `${file}.orig`), join(library, file)));
});

const FILES = [
  'lib/server.js',
  'lib/Channel.js',
  ...['crypto', 'kex', 'Protocol', 'zlib', 'handlers.misc', 'utils'].map((name) => `lib/protocol/${name}.js`),
];
const patch = (): Promise<RunResult> => run(process.execPath, [join(lab.dir, 'scripts', 'patch-ssh2.mjs')]);
const read = (file: string): string => readFileSync(join(library, file), 'utf8');

describe('the patch of the SSH library', () => {
  it('goes in once, into files of its own, and a second time changes nothing', async () => {
    const before = FILES.map((file) => statSync(join(library, file)).ino);
    expect(await patch()).toMatchObject({ code: 0, stderr: '' });
    FILES.forEach((file, i) => {
      expect(read(file)).toBe(readFileSync(join(projectDir, 'node_modules', 'ssh2', file), 'utf8'));
      expect(statSync(join(library, file)).ino).not.toBe(before[i]);
    });
    const after = FILES.map((file) => statSync(join(library, file)).ino);
    expect(await patch()).toMatchObject({ code: 0 });
    expect(FILES.map((file) => statSync(join(library, file)).ino)).toEqual(after);
  });

  it.each([
    [
      'another release',
      () => writeFileSync(join(library, 'package.json'), JSON.stringify({ name: 'ssh2', version: '1.18.0' })),
      /ssh2 1\.18\.0 is installed/,
    ],
    [
      'a file that somebody else changed',
      () => writeFileSync(join(library, 'lib', 'server.js'), `${read('lib/server.js')}// changed\n`),
      /server\.js is not the one of ssh2 1\.17\.0/,
    ],
  ])('fails for %s, and leaves that as it is', async (_what, change, why) => {
    change();
    const before = FILES.map(read);
    expect(await patch()).toMatchObject({ code: 1, stderr: expect.stringMatching(why) });
    expect(FILES.map(read)).toEqual(before);
  });
});
