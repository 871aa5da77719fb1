import { describe, expect, it } from '@jest/globals';
import { createLogger, type LogFields } from './logger';
import { type Cause, causeOf, currentOrigin, withOrigin } from './origin';
import { currentSpan, inSpan, inTrace, traced } from './trace';
import { newTraceContext, parseTraceparent } from './trace-context';

/** The fields of one log line that `work` writes. */
async function lineOf(within: (work: () => Promise<void>) => Promise<void>, fields: LogFields = {}): Promise<LogFields> {
  const lines: LogFields[] = [];
  const logger = createLogger('info', (_level, _message, given) => void lines.push(given)).child({ role: 'api' });
  await within(async () => {
    await new Promise(setImmediate);
    logger.info('a line', fields);
  });
  return lines[0] ?? {};
}

const CALL = { requestId: 'request-1', address: '192.0.2.1', tokenId: undefined };
const ID = expect.stringMatching(/^[\da-f]{32}$/);

describe('a log line', () => {
  it('R40: has the ids of its call, without an SDK, and no ids outside of a call', async () => {
    expect(await lineOf((work) => inTrace('POST /api/rent', { origin: CALL }, work))).toEqual({
      role: 'api',
      requestId: 'request-1',
      traceId: ID,
    });
    expect(await lineOf((work) => work())).toEqual({ role: 'api' });
  });

  it('R40: has the trace id that the caller sent, and the ids that the line itself names', async () => {
    const parent = newTraceContext();
    const line = await lineOf((work) => inTrace('POST /api/rent', { origin: CALL, parent }, work), { requestId: 'another' });
    expect(line).toEqual({ role: 'api', requestId: 'another', traceId: parent.traceId });
  });

  it('R40: of later work has the request of the act that ordered it, both trace ids, and a trace of its own', async () => {
    let cause: Cause = causeOf(null);
    const first = await lineOf((work) =>
      inTrace('POST /api/rent', { origin: CALL }, () => {
        cause = causeOf();
        return work();
      }),
    );
    const later = await lineOf((work) => inTrace('placement', { causes: [cause] }, work));
    expect(later).toEqual({ role: 'api', requestId: 'request-1', traceId: ID, causeTraceId: first['traceId'] });
    expect(later['traceId']).not.toBe(first['traceId']);
  });

  it('R40: of work for several acts names none of them', async () => {
    const causes = ['1', '2'].map((requestId) => causeOf({ ...CALL, requestId, trace: newTraceContext() }));
    expect(await lineOf((work) => inTrace('reserve-batch', { causes }, work))).toEqual({ role: 'api', traceId: ID });
  });
});

describe('a cause', () => {
  it('R40: of no call is empty, and work without one begins a trace', async () => {
    expect(causeOf(null)).toEqual({ traceparent: null, requestId: null });
    expect(await lineOf((work) => inTrace('wipe', { causes: [causeOf(null)] }, work))).toEqual({ role: 'api', traceId: ID });
  });

  it('R40: fits its column', async () => {
    const cause = await inTrace('wipe', { origin: CALL }, () => Promise.resolve(causeOf()));
    expect(cause).toEqual({ traceparent: expect.stringMatching(/^.{55}$/), requestId: 'request-1' });
    expect(parseTraceparent(cause.traceparent)).toBeDefined();
  });
});

describe('without an SDK', () => {
  it('R40: a span is only its work', async () => {
    const origin = { ...CALL, trace: newTraceContext() };
    const seen = await withOrigin(origin, () => inSpan('reserve', () => Promise.resolve([currentOrigin(), currentSpan()])));
    expect(seen).toEqual([origin, undefined]);
    expect(await traced('add', (a: number, b: number) => Promise.resolve(a + b))(1, 2)).toBe(3);
    await expect(inTrace('wipe', {}, () => Promise.reject(new Error('fails')))).rejects.toThrow('fails');
  });
});
