import winston from 'winston';
import type { LogSink } from './logger';

/** The control plane's sink: winston, JSON lines on stderr, or coloured lines when stderr is a terminal. */
export function createWinstonSink(pretty = process.stderr.isTTY): LogSink {
  const format = pretty
    ? winston.format.combine(winston.format.colorize(), winston.format.timestamp(), winston.format.printf(prettyLine))
    : winston.format.combine(winston.format.timestamp(), winston.format.json());
  const logger = winston.createLogger({
    level: 'debug',
    format,
    // winston's types give its transports another base class than the one that it asks for.
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment
    transports: [new winston.transports.Console({ stderrLevels: ['debug', 'info', 'warn', 'error'], forceConsole: false })],
  });
  return (level, message, fields) => void logger.log(level, message, fields);
}

function prettyLine({ timestamp, level, message, ...fields }: winston.Logform.TransformableInfo): string {
  const rest = Object.keys(fields).length > 0 ? ` ${JSON.stringify(fields)}` : '';
  return `${String(timestamp)} ${level} ${String(message)}${rest}`;
}
