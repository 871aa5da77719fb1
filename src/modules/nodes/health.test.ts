import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type HealthPolicy, type HealthState, judgeProbe, type ProbeOutcome, shouldOpenBreaker, type Decision } from './health';
import type { NodeStatus } from './types';

const policy: HealthPolicy = { deadAfterFailures: 3, intervalSeconds: 30, suspectIntervalSeconds: 5 };
const at = (seconds: number): Date => new Date(seconds * 1000);
const healthy: HealthState = { status: 'alive', failures: 0, firstFailedAt: null };
const WATCHED: NodeStatus[] = ['unknown', 'alive', 'suspect', 'dead'];

interface Run {
  from?: HealthState;
  judgedSince?: number;
  using?: HealthPolicy;
}

/** Judges a probe a second, from second 100 on. */
function judgeAll(outcomes: ProbeOutcome[], { from = healthy, judgedSince = 0, using = policy }: Run = {}): Decision[] {
  const decisions: Decision[] = [];
  for (const [n, outcome] of outcomes.entries()) {
    decisions.push(judgeProbe(decisions.at(-1) ?? from, outcome, { now: at(100 + n), judgedSince: at(judgedSince), policy: using }));
  }
  return decisions;
}

const outcomes = fc.array(fc.constantFrom<ProbeOutcome>('ok', 'failed'), { minLength: 1, maxLength: 40 });
const status = fc.constantFrom(...WATCHED);

describe('judging a probe', () => {
  it('R20: alive, then suspect, then dead at the third failure', () => {
    const decisions = judgeAll(['failed', 'failed', 'failed', 'failed']);
    expect(decisions.map((decision) => decision.status)).toEqual(['suspect', 'suspect', 'dead', 'dead']);
    expect(decisions.map(({ died }) => died)).toEqual([false, false, true, false]);
    expect(decisions.map(({ nextProbeSeconds }) => nextProbeSeconds)).toEqual([5, 5, 30, 30]);
  });

  it('R20: a node that was never verified dies too, and is never called suspect on the way', () => {
    expect(
      judgeAll(['failed', 'failed', 'failed'], { from: { ...healthy, status: 'unknown' } }).map((decision) => decision.status),
    ).toEqual(['unknown', 'unknown', 'dead']);
  });

  it('R20: a node dies at exactly the Nth failure in a row, for any N and any history', () => {
    fc.assert(
      fc.property(outcomes, fc.integer({ min: 1, max: 6 }), (history, n) => {
        let inARow = 0;
        let dead = false;
        for (const [step, decision] of judgeAll(history, { using: { ...policy, deadAfterFailures: n } }).entries()) {
          inARow = history[step] === 'ok' ? 0 : inARow + 1;
          dead = history[step] === 'ok' ? false : dead || inARow >= n;
          expect(decision.status === 'dead').toBe(dead);
          expect(decision.died).toBe(inARow === n);
        }
      }),
    );
  });

  it('R20: one success forgets every failure', () => {
    fc.assert(
      fc.property(status, fc.nat(50), (before, failures) => {
        const [decision] = judgeAll(['ok'], { from: { status: before, failures, firstFailedAt: at(1) } });
        expect(decision).toMatchObject({ status: 'alive', failures: 0, firstFailedAt: null, died: false, nextProbeSeconds: 30 });
      }),
    );
  });

  it('I8: failures that began before the judging did never count', () => {
    fc.assert(
      fc.property(fc.constantFrom<NodeStatus>('unknown', 'alive', 'suspect'), fc.integer({ min: 1, max: 50 }), (before, failures) => {
        const [decision] = judgeAll(['failed'], { from: { status: before, failures, firstFailedAt: at(49) }, judgedSince: 50 });
        expect(decision).toMatchObject({ failures: 1, firstFailedAt: at(100), died: false });
      }),
    );
  });

  it('I8: those that began at that very moment or later do', () => {
    expect(judgeAll(['failed'], { from: { status: 'suspect', failures: 2, firstFailedAt: at(50) }, judgedSince: 50 })[0]).toMatchObject({
      status: 'dead',
      failures: 3,
      died: true,
    });
  });

  it('I6: a node returned only when it was dead or never verified, and answers', () => {
    for (const before of WATCHED) {
      expect(judgeAll(['ok'], { from: { ...healthy, status: before } })[0]?.returned).toBe(before === 'dead' || before === 'unknown');
      expect(judgeAll(['failed'], { from: { ...healthy, status: before } })[0]?.returned).toBe(false);
    }
  });

  it('R20: a changed host key is quarantine from any status, and is no death', () => {
    for (const before of WATCHED) {
      expect(judgeAll(['host_key_changed'], { from: { ...healthy, status: before } })[0]).toMatchObject({
        status: 'quarantined',
        died: false,
        returned: false,
      });
    }
  });

  it('R20: with the same outcome again and again the status changes in one direction and then stays', () => {
    fc.assert(
      fc.property(status, fc.constantFrom<ProbeOutcome>('ok', 'failed'), (before, outcome) => {
        const seen = judgeAll(Array<ProbeOutcome>(12).fill(outcome), { from: { ...healthy, status: before } }).map(
          (decision) => decision.status,
        );
        expect(seen.filter((each, n) => n > 0 && each !== seen[n - 1]).length).toBeLessThanOrEqual(1);
        expect(seen.at(-1)).toBe(outcome === 'ok' ? 'alive' : 'dead');
      }),
    );
  });
});

describe('the circuit breaker of migrations', () => {
  it.each([
    [0, 0, false],
    [0, 2, false],
    [0, 3, true],
    [3, 3, false],
    [3, 4, true],
    [100, 50, false],
  ])('I8: %i healthy and %i failing: %s', (healthyNodes, failing, opens) => {
    expect(shouldOpenBreaker({ healthy: healthyNodes, failing })).toBe(opens);
  });

  it('I8: never goes off because more nodes fail, nor on because more are healthy', () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.nat(1000), (healthyNodes, failing) => {
        const opens = shouldOpenBreaker({ healthy: healthyNodes, failing });
        expect(shouldOpenBreaker({ healthy: healthyNodes, failing: failing + 1 }) || !opens).toBe(true);
        expect(opens || !shouldOpenBreaker({ healthy: healthyNodes + 1, failing })).toBe(true);
      }),
    );
  });
});
