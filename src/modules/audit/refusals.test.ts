import { describe, expect, it } from '@jest/globals';
import { Tx } from '../../db/transaction';
import { withOrigin } from '../../lib/origin';
import { createRefusalLog, type Refusal, type RefusalLog } from './refusals';

/** A fake of a database that keeps what is inserted. */
class Inserted extends Tx {
  readonly isClustered = false;
  readonly events: { type: unknown; outcome: unknown; actor: unknown; requestId: unknown; data: { count: number } }[] = [];
  isAway = false;

  send(_sql: string, bindings: readonly unknown[]): Promise<unknown> {
    if (this.isAway) {
      return Promise.reject(new Error('the database is away'));
    }
    const [type, outcome, actor, , , , , requestId] = bindings;
    this.events.push({ type, outcome, actor, requestId, data: JSON.parse(String(bindings[9])) as { count: number } });
    return Promise.resolve({ affectedRows: 1 });
  }
}

interface Stage {
  log: RefusalLog;
  db: Inserted;
  errors: string[];
  /** Ends the minute that the log waits for. */
  endMinute: () => void;
}

function aLog(): Stage {
  const db = new Inserted();
  const errors: string[] = [];
  let end = (): void => undefined;
  const clock = {
    after: (_ms: number, act: () => void) => {
      end = act;
      return () => undefined;
    },
  };
  return { db, errors, log: createRefusalLog({ db, clock, logger: { error: (message) => errors.push(message) } }), endMinute: () => end() };
}

const aRefusal = (kind: string): Refusal => ({ type: 'access.refused', kind, actor: 'anonymous', data: { kind } });
const countsOf = ({ db }: Stage): number[] => db.events.map(({ data }) => data.count);

describe('refusals', () => {
  it('R41: are recorded at once when they are the first of their kind, with the origin of the call', async () => {
    const stage = aLog();
    await withOrigin({ requestId: 'request-1', address: undefined, tokenId: undefined }, () => stage.log.note(aRefusal('a')));
    expect(stage.db.events).toEqual([
      { type: 'access.refused', outcome: 'refused', actor: 'anonymous', requestId: 'request-1', data: { kind: 'a', count: 1 } },
    ]);
  });

  it('R41: of one kind are counted for a minute, and written as one event', async () => {
    const stage = aLog();
    for (const kind of ['a', 'a', 'b', 'a', 'a']) {
      await stage.log.note(aRefusal(kind));
    }
    expect(countsOf(stage)).toEqual([1, 1]);
    stage.endMinute();
    expect(countsOf(stage)).toEqual([1, 1, 3]);
    await stage.log.note(aRefusal('a'));
    expect(countsOf(stage)).toEqual([1, 1, 3, 1]);
  });

  it('R41: of any number of kinds write a bounded number of events, and none is lost from the counts', async () => {
    const stage = aLog();
    for (let n = 0; n < 5_000; n += 1) {
      await stage.log.note(aRefusal(`kind ${n}`));
    }
    await stage.log.flush();
    expect(stage.db.events.length).toBeLessThan(110);
    expect(countsOf(stage).reduce((sum, count) => sum + count, 0)).toBe(5_000);
  });

  it('R41: are logged when the database does not take them, and the caller gets its answer', async () => {
    const stage = aLog();
    stage.db.isAway = true;
    await stage.log.note(aRefusal('a'));
    expect(stage.errors).toEqual(['refusals not recorded']);
  });
});
