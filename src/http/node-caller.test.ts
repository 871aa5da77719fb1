import { describe, expect, it } from '@jest/globals';
import { createDatabase } from '../db/connection';
import { systemClock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import { createNodeFinder, type NodeCaller } from './node-caller';

describe('calls of agents while the database refuses connections', () => {
  it('R40: fail together with a retry time each, and leave one line in the log', async () => {
    const db = createDatabase({ host: '127.0.0.1', port: 1, user: 'nobody', password: '', database: 'none', poolSize: 2 });
    const lines: string[] = [];
    const logger = { error: (message: string) => lines.push(message) } as unknown as Logger;
    const find = createNodeFinder({ db, clock: systemClock, logger });
    const call = (at: number): Promise<NodeCaller | undefined> => find({ keyId: `key-${at}`, isFrom: () => true, nonce: undefined });
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, (_, at) => call(at)));
    expect(outcomes).toEqual(
      outcomes.map(() => ({
        status: 'rejected',
        reason: expect.objectContaining({ code: 'unavailable', isLogged: true, retryAfterSeconds: expect.any(Number) }),
      })),
    );
    expect(lines).toEqual(['nodes of calls not looked up']);
    await db.destroy();
  });
});
