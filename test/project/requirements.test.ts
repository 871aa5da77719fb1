import { describe, expect, it } from '@jest/globals';
import { projectFiles, readProjectFile } from './files';

const table = readProjectFile('docs/requirements.md').matchAll(/^\| (R\d+) \| .* \| ([^|]+) \|$/gm);
const stateOf = new Map([...table].map(([, number = '', state = '']) => [number, state.trim()]));

const quotedIn = (wanted: (file: string) => boolean): Set<string> =>
  new Set(
    projectFiles
      .filter((file) => file.endsWith('.ts') && wanted(file))
      .flatMap((file) => readProjectFile(file).match(/\bR\d{1,2}\b/g) ?? []),
  );

describe('the requirements', () => {
  it('have each number that code and tests quote', () => {
    expect([...quotedIn(() => true)].filter((number) => !stateOf.has(number))).toEqual([]);
  });

  it('that are built are each quoted by a test', () => {
    const quoted = quotedIn((file) => file.endsWith('.test.ts'));
    const built = [...stateOf].filter(([, state]) => state === 'yes' || state === 'in part').map(([number]) => number);
    expect(built.filter((number) => !quoted.has(number))).toEqual([]);
  });
});
