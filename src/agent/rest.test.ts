import { describe, expect, it } from '@jest/globals';
import { systemClock } from '../lib/clock';
import { createRest } from './rest';

const LONG_MS = 600_000;
const never = new AbortController().signal;

describe('a rest', () => {
  it('is cut while it is taken, or before', async () => {
    const rest = createRest(systemClock);
    const taken = rest.take(LONG_MS, never);
    rest.cut();
    expect(await taken).toBe(true);
    rest.cut();
    expect(await rest.take(LONG_MS, never)).toBe(true);
    expect(await rest.take(1, never)).toBe(false);
  });

  it('ends when the agent stops', async () => {
    const stopping = new AbortController();
    const taken = createRest(systemClock).take(LONG_MS, stopping.signal);
    stopping.abort();
    expect(await taken).toBe(false);
  });
});
