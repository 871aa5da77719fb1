import { Writable } from 'node:stream';
import winston from 'winston';
import type { LogSink } from './logger';
import { stderrLines } from './stderr-lines';

/** Creates the log sink of the control plane with winston: JSON lines on stderr, or coloured lines when stderr is a terminal. */
export function createWinstonSink(pretty = process.stderr.isTTY): LogSink {
  const format = pretty
    ? winston.format.combine(winston.format.colorize(), winston.format.timestamp(), winston.format.printf(prettyLine))
    : winston.format.combine(winston.format.timestamp(), winston.format.json());
  const logger = winston.createLogger({
    level: 'debug',
    format,
    // winston's types give its transports another base class than the one that they require.
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment
    transports: [new winston.transports.Stream({ stream: lineStream(), eol: '' })],
  });
  return (level, message, fields) => void logger.log(level, message, fields);
}

/** Accepts each line at once, so that winston never holds lines back. */
function lineStream(): Writable {
  const lines = stderrLines();
  return new Writable({
    decodeStrings: false,
    write: (line: string, _encoding, done) => {
      lines.write(line);
      done();
    },
  });
}

function prettyLine({ timestamp, level, message, ...fields }: winston.Logform.TransformableInfo): string {
  const rest = Object.keys(fields).length > 0 ? ` ${JSON.stringify(fields)}` : '';
  return `${String(timestamp)} ${level} ${String(message)}${rest}`;
}
