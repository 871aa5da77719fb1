import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { describe, expect, it } from '@jest/globals';
import { createAge } from '../../../src/modules/checkpoints';
import { useForAll, useLab } from '../../support/hooks';
import { makeIdentity } from './support';

const never = new AbortController().signal;

describe('age', () => {
  const lab = useLab();
  const cipher = useForAll(async () => createAge(await makeIdentity(lab)));

  it('keeps what it printed for whoever comes after its end', async () => {
    const sealed = await cipher.encrypt(never);
    sealed.input.end('a home');
    await sealed.done;
    const opened = cipher.decrypt(never);
    opened.input.end(await buffer(sealed.output));
    await opened.done;
    expect(await text(opened.output)).toBe('a home');
  });

  it('that cannot do it says so, also to whoever asks late', async () => {
    const opened = cipher.decrypt(never);
    opened.input.end('no archive');
    await expect(opened.done).rejects.toThrow('age ended with 1');
    expect(await text(opened.output)).toBe('');
    const stranger = createAge(join(lab.dir, 'missing')).decrypt(AbortSignal.abort());
    await expect(stranger.done).rejects.toThrow('age cannot be run');
    expect(await text(stranger.output)).toBe('');
  });
});
