import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { projectDir } from '../lab';
import type { Edit } from './fault';
import { FAULTS } from './list';
import { change } from './plant';

describe('the planted faults', () => {
  it('have names of their own', () => {
    expect(new Set(FAULTS.map(({ name }) => name)).size).toBe(FAULTS.length);
  });

  it.each(FAULTS)('$name can be planted into the program as it is', ({ edits }) => {
    const texts = new Map<string, string>();
    const plant = (edit: Edit): string => change(texts.get(edit.file) ?? readFileSync(join(projectDir, edit.file), 'utf8'), edit);
    for (const edit of edits) {
      expect(() => texts.set(edit.file, plant(edit))).not.toThrow();
    }
  });
});
