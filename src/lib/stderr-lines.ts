import { createLineWriter, type LineWriter } from './line-writer';

let writer: LineWriter | undefined;

/** Returns the writer of the process's log, which is stderr. */
export const stderrLines = (): LineWriter => (writer ??= openStderr());

function openStderr(): LineWriter {
  letTerminalStandStill();
  return createLineWriter(process.stderr, (lines) =>
    JSON.stringify({ timestamp: new Date().toISOString(), level: 'warn', message: 'log lines lost', lines }),
  );
}

/**
 * Makes writes to a terminal asynchronous. By default they are synchronous in Node: a terminal that is stopped (Ctrl-S) or whose connection
 * hangs would stop the whole process.
 */
function letTerminalStandStill(): void {
  const { isTTY, _handle: handle } = process.stderr as typeof process.stderr & { _handle?: { setBlocking?: (blocking: boolean) => void } };
  if (isTTY) {
    handle?.setBlocking?.(false);
  }
}
