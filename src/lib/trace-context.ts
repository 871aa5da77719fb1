import { randomUUID } from 'node:crypto';

/** A place in a trace: the trace, and the span that the next spans belong to. It is a SpanContext of OpenTelemetry. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  traceId: string;
  /** 16 hexadecimal digits. */
  spanId: string;
  /** Bit 0: the trace is sampled. */
  traceFlags: number;
}

/** Begins a trace without a span. Its ids are random; only the sampler of an SDK samples, so the trace is not sampled. */
export function newTraceContext(): TraceContext {
  const traceId = randomUUID().replaceAll('-', '');
  return { traceId, spanId: traceId.slice(0, 16), traceFlags: 0 };
}

const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(-.*)?$/;

/**
 * Reads a W3C traceparent (https://www.w3.org/TR/trace-context/). Undefined: there is none, or it is not valid. Version 00 has four fields;
 * a later version may have more.
 */
export function parseTraceparent(text: unknown): TraceContext | undefined {
  const found = typeof text === 'string' ? TRACEPARENT.exec(text) : null;
  if (!found) {
    return undefined;
  }
  const [whole, traceId = '', spanId = '', flags, more] = found;
  return more !== undefined && whole.startsWith('00') ? undefined : { traceId, spanId, traceFlags: Number.parseInt(flags ?? '0', 16) & 1 };
}

/** Writes a W3C traceparent of version 00, which has 55 characters. */
export const formatTraceparent = ({ traceId, spanId, traceFlags }: TraceContext): string =>
  `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
