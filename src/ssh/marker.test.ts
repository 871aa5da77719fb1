import { describe, expect, it } from '@jest/globals';
import { buffer } from 'node:stream/consumers';
import { answerIn, answerOnly, mark, NotAnsweredError } from './marker';

describe('the answer of a machine', () => {
  it('is what comes after the marker, whatever was printed before it', () => {
    const marked = mark('uptime');
    const [, word] = /^echo (orion-[0-9a-f]{18}); uptime$/.exec(marked.command) ?? [];
    expect(answerIn(`${String(word)}\n up\n`, marked)).toBe(' up\n');
    expect(answerIn(`Welcome to orion-ok\n${String(word)}\n`, marked)).toBe('');
    expect(() => answerIn('This account is currently not available.\n', marked)).toThrow(NotAnsweredError);
    expect(mark('uptime').marker).not.toBe(marked.marker);
  });

  const through = async (chunks: string[], marker = 'the-marker\n'): Promise<string> => {
    const filter = answerOnly({ command: '', marker });
    chunks.forEach((chunk) => filter.write(Buffer.from(chunk)));
    filter.end();
    return (await buffer(filter)).toString('latin1');
  };

  it.each([
    ['in one piece', ['noise\nthe-marker\nanswer']],
    ['cut anywhere', ['noi', 'se\nthe-m', 'arke', 'r\nan', 'swer']],
    ['without noise', ['the-marker\n', 'answer']],
  ])('is filtered out of a stream %s', async (_how, chunks) => {
    expect(await through(chunks)).toBe('answer');
  });

  it('is missed where the machine ran something else, or never ends its greeting', async () => {
    await expect(through(['Sorry.'])).rejects.toThrow('not what it was asked: "Sorry."');
    await expect(through([])).rejects.toThrow(NotAnsweredError);
    await expect(through(['x'.repeat(70_000)])).rejects.toThrow(NotAnsweredError);
  });
});
