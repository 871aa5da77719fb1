import { describe, expect, it } from '@jest/globals';
import { createSessionLog } from './session-log';

const token = (n: number): { tokenId: string; userId: number; issuedAtSeconds: number; expiresAtSeconds: number } => ({
  tokenId: `t${n}`,
  userId: 1,
  issuedAtSeconds: 0,
  expiresAtSeconds: 60,
});

describe('the log of sessions', () => {
  it('R10: waits for one minute at a time, looks at a caller once in it, and survives a database that is gone', async () => {
    const timers: (() => void)[] = [];
    const warnings: unknown[] = [];
    const clock = {
      monotonicMs: () => 0,
      after: (ms: number, act: () => void) => (expect(ms).toBe(60_000), timers.push(act), () => undefined),
    };
    const log = createSessionLog({ db: undefined as never, clock, logger: { warn: (_text, fields) => void warnings.push(fields) } });
    let looks = 0;
    const caller = (): { address: undefined; client: undefined } => ((looks += 1), { address: undefined, client: undefined });
    [1, 1, 2, 1].forEach((n) => log.note(token(n), caller));
    expect([looks, timers.length]).toEqual([2, 1]);
    await log.flush();
    expect(warnings).toMatchObject([{ sessions: 2 }]);
    log.note(token(1), caller);
    expect([looks, timers.length]).toEqual([3, 2]);
  });
});
