import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { projectDir } from '../lab';
import type { Edit } from './mutation';
import { MUTATIONS } from './list';
import { change } from './mutate';

describe('the mutations', () => {
  it('have names of their own', () => {
    expect(new Set(MUTATIONS.map(({ name }) => name)).size).toBe(MUTATIONS.length);
  });

  it.each(MUTATIONS)('$name can be made in the program as it is', ({ edits }) => {
    const texts = new Map<string, string>();
    const mutate = (edit: Edit): string => change(texts.get(edit.file) ?? readFileSync(join(projectDir, edit.file), 'utf8'), edit);
    for (const edit of edits) {
      expect(() => texts.set(edit.file, mutate(edit))).not.toThrow();
    }
  });
});
