import { channel } from 'node:diagnostics_channel';
import { afterEach, describe, expect, it } from '@jest/globals';
import { causeOf, currentOrigin, type Origin } from '../../../src/lib/origin';
import { inSpan, inTrace, SpanKind } from '../../../src/lib/trace';
import { exportTraces } from '../../../src/lib/trace-export';
import { freePort } from '../../lab';
import { type ReceivedSpan, startTraceReceiver } from '../../support/trace-receiver';

const CALL: Origin = { requestId: 'request-1', address: undefined, tokenId: undefined };
const warnings: unknown[] = [];
const logger = { warn: (message: string, fields: object = {}): void => void warnings.push({ message, ...fields }) };
const BEFORE = { ...process.env };
/** Sends the last spans; for as long as it takes a receiver that answers. */
let stop: () => Promise<void> = () => Promise.resolve();

function exportTo(url: string, env: Record<string, string> = {}): void {
  Object.assign(process.env, { OTEL_EXPORTER_OTLP_ENDPOINT: url, ...env });
  const end = exportTraces(['api'], logger);
  stop = () => Promise.race([end().catch(() => undefined), new Promise<void>((resolve) => setTimeout(resolve, 2_000))]);
}

afterEach(async () => {
  await stop();
  process.env = { ...BEFORE };
  warnings.splice(0);
});

const noted = (): Promise<Origin | null> => Promise.resolve(currentOrigin());

describe('exported spans', () => {
  it('R40: are nested and linked as the work is, and carry steps and failures', async () => {
    const receiver = await startTraceReceiver();
    exportTo(receiver.url);
    const call = await inTrace('POST /api/rent', { kind: SpanKind.SERVER, origin: CALL }, async () => {
      channel('orion:step').publish({ step: 'rent.begin' });
      await inSpan('reserve', noted, { attributes: { 'orion.node.id': 7 } });
      return currentOrigin();
    });
    await inTrace('wipe', { causes: [causeOf(call)] }, () =>
      Promise.reject(new Error('token eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl')),
    ).catch(() => undefined);
    await inSpan('idle', noted);
    await stop();
    const [reserve, rent, wipe] = receiver.spans;
    expect(receiver.spans.map(({ service, name }) => `${service} ${name}`)).toEqual([
      'orion-api reserve',
      'orion-api POST /api/rent',
      'orion-api wipe',
    ]);
    expect(rent).toMatchObject({ traceId: call?.trace?.traceId, spanId: call?.trace?.spanId, events: [{ name: 'rent.begin' }] });
    expect(rent?.parentSpanId).toBeUndefined();
    expect(reserve).toMatchObject({ traceId: rent?.traceId, parentSpanId: rent?.spanId, attributes: { 'orion.node.id': 7 } });
    expect(wipe).toMatchObject({ links: [{ traceId: rent?.traceId }], status: { code: 2, message: 'token [redacted]' } });
    expect(wipe?.traceId).not.toBe(rent?.traceId);
    await receiver.close();
  });

  it('R40: are none when the caller did not sample the trace, and its log lines have the id of the trace still', async () => {
    const receiver = await startTraceReceiver();
    exportTo(receiver.url);
    const parent = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 0 };
    const origin = await inTrace('POST /api/rent', { origin: CALL, parent }, () => inSpan('reserve', noted));
    await stop();
    expect([origin?.trace?.traceId, receiver.spans]).toEqual([parent.traceId, []]);
    await receiver.close();
  });

  it('R40: are dropped when the receiver hangs: no call waits, and the queue is bounded', async () => {
    const receiver = await startTraceReceiver({ hangs: true });
    exportTo(receiver.url, {
      OTEL_BSP_MAX_QUEUE_SIZE: '100',
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '50',
      OTEL_BSP_SCHEDULE_DELAY: '10',
      OTEL_BSP_EXPORT_TIMEOUT: '500',
      OTEL_EXPORTER_OTLP_TIMEOUT: '500',
    });
    const startedAt = performance.now();
    for (let n = 0; n < 5_000; n += 1) {
      await inTrace(`call ${n}`, { origin: CALL }, noted);
      await new Promise(setImmediate);
    }
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    await stop();
    const received = new Set(receiver.spans.map(({ spanId }: ReceivedSpan) => spanId));
    expect(received.size).toBeGreaterThan(0);
    expect(received.size).toBeLessThan(2_000);
    await receiver.close();
  }, 30_000);

  it('R40: of a receiver that is down cost one warning a minute', async () => {
    exportTo(`http://127.0.0.1:${await freePort()}`, {
      OTEL_BSP_SCHEDULE_DELAY: '10',
      OTEL_EXPORTER_OTLP_TIMEOUT: '500',
      OTEL_BSP_EXPORT_TIMEOUT: '500',
    });
    for (let n = 0; n < 10; n += 1) {
      await inTrace('call', { origin: CALL }, noted);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await stop();
    expect(warnings).toEqual([{ message: 'traces not exported', reason: expect.any(String) }]);
  }, 30_000);
});
