import type { Writable } from 'node:stream';

/** Writes lines to a stream that may be full, closed or unread. */
export interface LineWriter {
  /** Never throws and never waits. A line that cannot be written is counted and dropped. */
  write(line: string): void;
  /** Returns how many lines were lost since the start. */
  lost(): number;
}

/** Bytes that the process keeps for a blocked reader. */
const MAX_WAITING_BYTES = 1024 * 1024;

/**
 * Creates a line writer. A full disk, a closed pipe or a blocked reader costs log lines, but never the process. The first line after a loss
 * is preceded by `describeLoss(n)`. A stream that overflowed gets nothing more until it is empty, so that one slow reader causes few such
 * lines.
 */
export function createLineWriter(stream: Writable, describeLoss: (lines: number) => string): LineWriter {
  let lost = 0;
  let lostInAll = 0;
  let overflowed = false;
  let failed = false;
  // Without a listener, Node ends the process at the first error of the stream.
  stream.on('error', () => undefined);

  /** `counted`: these lines are in `lostInAll` already. */
  const lose = (lines: number, counted = false): void => {
    lost += lines;
    lostInAll += counted ? 0 : lines;
  };
  const send = (text: string, lines: number, counted = false): void => {
    const done = (error?: Error | null): void => {
      failed = Boolean(error);
      lose(error ? lines : 0, counted);
    };
    try {
      stream.write(text, done);
    } catch (error) {
      done(error as Error);
    }
  };
  const reportLoss = (): void => {
    const lines = lost;
    lost = 0;
    // A disk that became full may contain half a line.
    send(`${failed ? '\n' : ''}${describeLoss(lines)}\n`, lines, true);
  };

  return {
    write: (line) => {
      overflowed = stream.writableLength > (overflowed ? 0 : MAX_WAITING_BYTES);
      if (overflowed) {
        lose(1);
        return;
      }
      if (lost > 0) {
        reportLoss();
      }
      send(`${line}\n`, 1);
    },
    lost: () => lostInAll,
  };
}
