import { subscribe } from 'node:diagnostics_channel';
import { diag, DiagLogLevel } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { Logger } from './logger';
import { withOrigin } from './origin';
import { currentSpan, recordSpansWith } from './trace';

/** A receiver that does not answer writes this often into the log. */
const WARN_EVERY_MS = 60_000;

/**
 * Sends the spans of this process to a receiver of OTLP over HTTP, as the standard variables `OTEL_*` say. No caller waits for the
 * receiver: finished spans wait in a queue (OTEL_BSP_MAX_QUEUE_SIZE, 2048 by default), and the queue drops what does not fit. Only a
 * process that exports spans imports this file. Returns a function that sends the last spans.
 */
export function exportTraces(roles: readonly string[], logger: Pick<Logger, 'warn'>): () => Promise<void> {
  warnOfFailures(logger);
  const resource = defaultResource()
    .merge(resourceFromAttributes({ 'service.name': `orion-${roles.join('-')}`, 'process.pid': process.pid }))
    .merge(detectResources({ detectors: [envDetector] }));
  // The timers and the sockets of the exporter are a part of no call.
  const provider = withOrigin(
    null,
    () => new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())] }),
  );
  recordSpansWith(provider.getTracer('orion'));
  subscribe('orion:step', (reached) => currentSpan()?.addEvent((reached as { step: string }).step));
  return () => {
    recordSpansWith(undefined);
    return provider.shutdown();
  };
}

function warnOfFailures(logger: Pick<Logger, 'warn'>): void {
  let warnedAt = -Infinity;
  const warn = (reason: string): void => {
    if (performance.now() - warnedAt >= WARN_EVERY_MS) {
      warnedAt = performance.now();
      withOrigin(null, () => logger.warn('traces not exported', { reason: reason.slice(0, 300) }));
    }
  };
  const ignore = (): void => undefined;
  diag.setLogger(
    { error: warn, warn, info: ignore, debug: ignore, verbose: ignore },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}
