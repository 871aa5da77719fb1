import { describe, expect, it } from '@jest/globals';
import { Writable } from 'node:stream';
import { createLineWriter } from './line-writer';

const LINE = 'x'.repeat(1023);
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** A stream whose reader is blocked, or whose disk is full, until the test ends that. */
function createOutput(): { stream: Writable; text: () => string; fault: Error | null; resume: () => void; stop: () => void } {
  let text = '';
  let waiting: (() => void)[] | undefined;
  const output = {
    fault: null as Error | null,
    text: () => text,
    stop: () => void (waiting = []),
    resume: () => {
      const ready = waiting ?? [];
      waiting = undefined;
      ready.forEach((go) => go());
    },
    stream: new Writable({
      // Node does the same for process.stderr, which stays open after errors.
      destroy(this: Writable & { _undestroy?: () => void }, error, done) {
        done(error);
        this._undestroy?.();
      },
      write: (chunk: Buffer, _encoding, done) => {
        const go = (): void => {
          text += output.fault ? '' : chunk.toString();
          done(output.fault);
        };
        if (waiting) {
          waiting.push(go);
        } else {
          go();
        }
      },
    }),
  };
  return output;
}

const describeLoss = (lines: number): string => `${lines} lost`;

describe('a writer of log lines', () => {
  it('keeps a bounded amount for a reader that does not read, and reports how many lines it dropped', async () => {
    const output = createOutput();
    const writer = createLineWriter(output.stream, describeLoss);
    output.stop();
    for (let i = 0; i < 10_000; i++) {
      writer.write(LINE);
    }
    expect(output.stream.writableLength).toBeLessThan(1.01 * 1024 * 1024);

    output.resume();
    await turn();
    const kept = output.text().split('\n').length - 1;
    writer.write('again');
    await turn();
    expect(output.text().split('\n').slice(kept)).toEqual([`${10_000 - kept} lost`, 'again', '']);
    expect(writer.lost()).toBe(10_000 - kept);
  });

  it('drops what a full disk does not take, throws nothing, and goes on when there is room', async () => {
    const output = createOutput();
    const writer = createLineWriter(output.stream, describeLoss);
    output.fault = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    for (const line of ['one', 'two', 'three']) {
      writer.write(line);
      await turn();
    }
    output.fault = null;
    writer.write('four');
    writer.write('five');
    await turn();
    expect(output.text()).toBe('\n3 lost\nfour\nfive\n');
    // A report that was lost itself is no further line.
    expect(writer.lost()).toBe(3);
  });
});
