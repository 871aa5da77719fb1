import { type Attributes, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace, type Tracer } from '@opentelemetry/api';
import { messageOf } from './errors';
import { type Cause, currentOrigin, type Origin, withOrigin } from './origin';
import { redactText } from './redact';
import { newTraceContext, parseTraceparent, type TraceContext } from './trace-context';

export { SpanKind };

interface SpanOptions {
  kind?: SpanKind;
  /** Ids, names and counts. An attribute never contains a secret or the name of a user. */
  attributes?: Attributes;
}

export interface TraceOptions extends SpanOptions {
  /** Default: no call, with the request id of its only cause. */
  origin?: Origin;
  /** The span of the caller, which this trace continues. Undefined: a new trace begins. */
  parent?: TraceContext | undefined;
  /** The acts, in other traces, that ordered this work. */
  causes?: readonly Cause[];
}

/** Undefined: this process exports no spans, so it makes none. */
let tracer: Tracer | undefined;
/** The spans of this process that are not over. The context of a span is one object for its whole life. */
const open = new WeakMap<TraceContext, Span>();

/** Makes spans with this tracer from now on: see lib/trace-export. Undefined: makes none. */
export function recordSpansWith(other: Tracer | undefined): void {
  tracer = other;
}

/**
 * Runs `work` as a trace of its own, or as a part of the trace of a caller. Its log lines have the id of the trace, with and without an
 * SDK.
 */
export function inTrace<T>(name: string, options: TraceOptions, work: () => Promise<T>): Promise<T> {
  const span = tracer && startTrace(tracer, name, options);
  return withOrigin(new Act(originIn(options), span?.spanContext() ?? options.parent), () => (span ? record(span, work) : work()));
}

/** An origin whose trace gets its ids when something reads them. Most heartbeats write no log line, so they need none. */
class Act implements Origin {
  readonly requestId: string | undefined;
  readonly address: string | undefined;
  readonly tokenId: string | undefined;
  readonly causeTraceId: string | undefined;
  #trace: TraceContext | undefined;

  constructor({ requestId, address, tokenId, causeTraceId }: Origin, trace: TraceContext | undefined) {
    this.requestId = requestId;
    this.address = address;
    this.tokenId = tokenId;
    this.causeTraceId = causeTraceId;
    this.#trace = trace;
  }

  get trace(): TraceContext {
    return (this.#trace ??= newTraceContext());
  }
}

function startTrace(by: Tracer, name: string, { kind = SpanKind.INTERNAL, attributes = {}, parent, causes = [] }: TraceOptions): Span {
  const links = causes.flatMap(({ traceparent }) => parseTraceparent(traceparent) ?? []).map((context) => ({ context }));
  return by.startSpan(name, { kind, attributes, links }, contextOf(parent));
}

/** Work for several acts has the ids of none of them. */
function originIn({ origin, causes }: TraceOptions): Origin {
  const cause = causes?.length === 1 ? causes[0] : undefined;
  return (
    origin ?? {
      requestId: cause?.requestId ?? undefined,
      address: undefined,
      tokenId: undefined,
      causeTraceId: parseTraceparent(cause?.traceparent)?.traceId,
    }
  );
}

/** Runs `work` as a span of the current trace. Outside of a trace it runs `work` alone, so that idle loops make no spans. */
export function inSpan<T>(name: string, work: () => Promise<T>, options: SpanOptions = {}): Promise<T> {
  const origin = tracer && currentOrigin();
  if (!tracer || !origin?.trace) {
    return work();
  }
  const span = tracer.startSpan(name, options, contextOf(origin.trace));
  return withOrigin({ ...origin, trace: span.spanContext() }, () => record(span, work));
}

/** Returns a function that runs as a span: `name` is the file of the flow. */
export const traced =
  <A extends unknown[], T>(name: string, flow: (...input: A) => Promise<T>): ((...input: A) => Promise<T>) =>
  (...input) =>
    inSpan(name, () => flow(...input));

/** Returns the span that the caller is a part of. Undefined: none is recorded. */
export function currentSpan(): Pick<Span, 'addEvent' | 'setAttributes'> | undefined {
  const context = tracer && currentOrigin()?.trace;
  return context && open.get(context);
}

const contextOf = (context: TraceContext | undefined): typeof ROOT_CONTEXT =>
  context ? trace.setSpanContext(ROOT_CONTEXT, context) : ROOT_CONTEXT;

async function record<T>(span: Span, work: () => Promise<T>): Promise<T> {
  open.set(span.spanContext(), span);
  try {
    return await work();
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR, message: redactText(messageOf(error)) });
    throw error;
  } finally {
    span.end();
  }
}
