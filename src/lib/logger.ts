import { currentIds } from './origin';
import { redact } from './redact';
import { stderrLines } from './stderr-lines';

export type LogFields = Record<string, unknown>;

/** Messages are constant; data goes into fields. Secrets are redacted by field name and by shape (lib/redact). */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to every line. */
  child(fields: LogFields): Logger;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 };

export type LogSink = (level: LogLevel, message: string, fields: LogFields) => void;

/**
 * Creates a logger over a sink. Each line has the ids of the request and the trace that it belongs to (lib/origin), unless a field with
 * that name is given. Fields pass through redaction, and errors become plain objects. Logging never throws: fields that cannot be logged
 * are replaced by the reason.
 */
export function createLogger(level: LogLevel, sink: LogSink, base: LogFields = {}): Logger {
  const at =
    (lineLevel: LogLevel) =>
    (message: string, fields: LogFields = {}) => {
      if (RANK[lineLevel] >= RANK[level]) {
        try {
          sink(lineLevel, message, redact({ ...currentIds(), ...base, ...fields }) as LogFields);
        } catch (error) {
          sink(lineLevel, message, { ...currentIds(), ...base, unloggable: String(error) });
        }
      }
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => createLogger(level, sink, { ...base, ...fields }),
  };
}

/** Writes JSON lines to stderr without any library. The agent uses it, to stay small. */
export const jsonLineSink: LogSink = (level, message, fields) => {
  stderrLines().write(JSON.stringify({ timestamp: new Date().toISOString(), level, message, ...fields }));
};

export const silentLogger = createLogger('silent', () => undefined);
