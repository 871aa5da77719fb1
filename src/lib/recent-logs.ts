import type { Clock } from './clock';
import type { LogLevel, LogSink } from './logger';

/** The last log lines of this process, as JSON, without secrets: the logger has redacted them. */
export interface RecentLogs {
  /** Lines of the last ten minutes, oldest first, as far as they fit into 2,000,000 characters. */
  lines(): string[];
  /** The last 100 warnings and errors, however old. */
  faults(): string[];
  /** Returns a sink that keeps each line here and passes it on. */
  keep(sink: LogSink): LogSink;
}

const WINDOW_MS = 600_000;
const MAX_CHARACTERS = 2_000_000;
const MAX_LINE = 8_000;
const MAX_FAULTS = 100;
const FAULTS: readonly LogLevel[] = ['warn', 'error'];

interface Line {
  text: string;
  atMs: number;
}

/** Creates the store. It takes at most about 6 MB of memory, and one JSON.stringify for each line. */
export function createRecentLogs(clock: Pick<Clock, 'now' | 'monotonicMs'>): RecentLogs {
  const lines: Line[] = [];
  const faults: string[] = [];
  let first = 0;
  let characters = 0;
  const dropOld = (): void => {
    for (
      let oldest = lines[first];
      oldest && (clock.monotonicMs() - oldest.atMs > WINDOW_MS || characters > MAX_CHARACTERS);
      oldest = lines[first]
    ) {
      characters -= oldest.text.length;
      first += 1;
    }
    // Removing the dropped half at once costs less than a shift for each line.
    if (first > lines.length / 2) {
      lines.splice(0, first);
      first = 0;
    }
  };
  return {
    lines: () => {
      dropOld();
      return lines.slice(first).map(({ text }) => text);
    },
    faults: () => [...faults],
    keep: (sink) => (level, message, fields) => {
      const text = JSON.stringify({ timestamp: clock.now(), level, message, ...fields }).slice(0, MAX_LINE);
      lines.push({ text, atMs: clock.monotonicMs() });
      characters += text.length;
      dropOld();
      if (FAULTS.includes(level)) {
        faults.push(text);
        faults.splice(0, faults.length - MAX_FAULTS);
      }
      sink(level, message, fields);
    },
  };
}
