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
    transports: [new winston.transports.Stream({ stream: process.stderr })],
  });
  return (level, message, fields) => void logger.log(level, message, fields);
}

function prettyLine({ timestamp, level, message, ...fields }: winston.Logform.TransformableInfo): string {
  const rest = Object.keys(fields).length > 0 ? ` ${JSON.stringify(fields)}` : '';
  return `${String(timestamp)} ${level} ${String(message)}${rest}`;
}
