import { describe, expect, it } from '@jest/globals';
import { formatTraceparent, newTraceContext, parseTraceparent } from './trace-context';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

describe('a traceparent', () => {
  it('R40: is read and written as W3C defines it', () => {
    const trace = { traceId: TRACE, spanId: SPAN, traceFlags: 1 };
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-01`)).toEqual(trace);
    expect(formatTraceparent(trace)).toBe(`00-${TRACE}-${SPAN}-01`);
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-fe`)?.traceFlags).toBe(0);
    expect(parseTraceparent(`cc-${TRACE}-${SPAN}-01-what-the-future-adds`)).toEqual(trace);
  });

  it.each([
    undefined,
    ['a list'],
    '',
    'x',
    `00-${TRACE}-${SPAN}`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE}-${SPAN}-01\nforged`,
  ])('R40: is ignored when it is not valid: %j', (text) => {
    expect(parseTraceparent(text)).toBeUndefined();
  });

  it('R40: of a new trace is valid, and no other trace has it', () => {
    const traces = Array.from({ length: 1000 }, newTraceContext);
    expect(traces.map((trace) => parseTraceparent(formatTraceparent(trace)))).toEqual(traces);
    expect(new Set(traces.map(({ traceId }) => traceId)).size).toBe(1000);
  });
});
