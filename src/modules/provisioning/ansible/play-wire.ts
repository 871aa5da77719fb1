import type { Socket } from 'node:net';

/** Exchanges messages between this process and a prefork worker: one JSON text a line, in both directions. */
export interface PlayWire {
  say(message: unknown): void;
  /** Reads the next message. Rejects when the other side is gone. */
  hear(): Promise<unknown>;
  /** Aborts when the other side is gone. */
  readonly over: AbortSignal;
  close(): void;
}

/** Longest line. A play sends its command or its result, and the limit on a node's output bounds both. */
const MAX_LINE_CHARACTERS = 16 * 1024 * 1024;

export function openWire(socket: Socket): PlayWire {
  const heard: string[] = [];
  let rest = '';
  let wake = (): void => undefined;
  const over = new AbortController();
  const gone = new Error('the process that played is gone');
  socket.setEncoding('utf8');
  socket.on('error', () => undefined);
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    heard.push(...lines);
    if (rest.length > MAX_LINE_CHARACTERS) {
      socket.destroy();
    }
    wake();
  });
  socket.once('close', () => {
    over.abort(gone);
    wake();
  });
  return {
    say: (message) => void socket.write(`${JSON.stringify(message)}\n`),
    hear: async () => {
      while (heard.length === 0) {
        if (over.signal.aborted) {
          throw gone;
        }
        await new Promise<void>((resolve) => (wake = resolve));
      }
      return JSON.parse(heard.shift() ?? '') as unknown;
    },
    over: over.signal,
    close: () => void socket.destroy(),
  };
}
