import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Move } from '../db/moves';
import { backoffSeconds } from '../lib/backoff';
import { fingerprintOf } from '../lib/host-key';
import { randomName, randomSecret, sha256 } from '../lib/ids';
import { sshKeyLine } from '../../test/support/keys';
import { decideAfterFailure, type PlacementFailure } from './leases/after-failure';
import { checkTerm } from './leases/lease-term';
import { type HealthState, judgeProbe, type ProbeOutcome } from './nodes/health';
import { NODE_MOVES } from './nodes/moves';
import type { NodeStatus } from './nodes/types';

const at = (seconds: number): Date => new Date(seconds * 1000);

/** The moves that a probe may cause. */
const { answer, stayUnknown, fail, die, quarantine } = NODE_MOVES;
const isMove = (from: NodeStatus, to: NodeStatus): boolean =>
  [answer, stayUnknown, fail, die, quarantine].some((move: Move) => move.from.includes(from) && move.to === to);

describe('the health of a node, through any history', () => {
  const outcome = fc.constantFrom<ProbeOutcome>('ok', 'failed', 'failed', 'host_key_changed');
  const step = fc.record({ outcome, seconds: fc.nat(100), outage: fc.boolean() });
  const start: fc.Arbitrary<HealthState> = fc.record({
    status: fc.constantFrom<NodeStatus>('unknown', 'alive', 'suspect', 'dead'),
    failures: fc.nat(5),
    firstFailedAt: fc.option(fc.nat(100).map(at)),
  });
  const policies = fc.record({
    deadAfterFailures: fc.integer({ min: 1, max: 6 }),
    intervalSeconds: fc.integer({ min: 1, max: 100 }),
    suspectIntervalSeconds: fc.integer({ min: 1, max: 100 }),
  });

  it('R20: makes only the moves that are drawn, dies once a death, and is always looked at again', () => {
    fc.assert(
      fc.property(start, fc.array(step, { maxLength: 40 }), policies, (...[first, steps, policy]) => {
        let state = first;
        let now = 1000;
        let judgedSince = 0;
        for (const { outcome: seen, seconds, outage } of steps) {
          now += seconds;
          judgedSince = outage ? now : judgedSince;
          const decision = judgeProbe(state, seen, { now: at(now), judgedSince: at(judgedSince), policy });
          expect([state.status, decision.status, isMove(state.status, decision.status)]).toEqual([state.status, decision.status, true]);
          expect(decision.died).toBe(decision.status === 'dead' && state.status !== 'dead');
          expect(decision.returned).toBe(decision.status === 'alive' && (state.status === 'dead' || state.status === 'unknown'));
          expect(decision.nextProbeSeconds).toBeGreaterThan(0);
          if (decision.status === 'quarantined') {
            return;
          }
          state = decision;
        }
      }),
    );
  });

  it('I8: right after an outage of the control plane no single failure is a death, unless one is enough', () => {
    fc.assert(
      fc.property(start, policies, (state, policy) => {
        const decision = judgeProbe(state, 'failed', { now: at(5000), judgedSince: at(4999), policy });
        expect(decision.died).toBe(policy.deadAfterFailures === 1 && state.status !== 'dead');
      }),
    );
  });
});

describe('limits and pauses', () => {
  it('R11: a term is allowed exactly up to the limit: whatever is shorter than an allowed one is allowed', () => {
    const allowed = (seconds: number, maxLeaseHours: number): boolean => {
      try {
        checkTerm(seconds, { maxLeaseHours });
        return true;
      } catch {
        return false;
      }
    };
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8784 }),
        fc.double({ min: 0, max: 4e7, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (hours, seconds, part) => {
          expect(allowed(seconds, hours)).toBe(seconds <= hours * 3600);
          expect(allowed(seconds * part, hours) || !allowed(seconds, hours)).toBe(true);
        },
      ),
    );
  });

  it('I9: a pause never gets shorter with the number of failures, with the same luck', () => {
    const policy = fc.record({
      firstSeconds: fc.double({ min: 0.01, max: 100, noNaN: true }),
      maxSeconds: fc.double({ min: 0.01, max: 1e5, noNaN: true }),
    });
    fc.assert(
      fc.property(
        policy,
        fc.integer({ min: -3, max: 200 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (rule, attempt, luck) => {
          expect(backoffSeconds(rule, attempt + 1, luck)).toBeGreaterThanOrEqual(backoffSeconds(rule, attempt, luck));
        },
      ),
    );
  });

  it('R21: a failure that moves a placement once moves it at every later attempt', () => {
    const failures = fc.constantFrom<PlacementFailure>('unreachable', 'host_key_changed', 'stale', 'deadline', 'failed');
    fc.assert(
      fc.property(failures, fc.integer({ min: 1, max: 100 }), fc.nat(100), (failure, attempts, more) => {
        expect(
          decideAfterFailure({ failure, attempts }) === 'retry' || decideAfterFailure({ failure, attempts: attempts + more }) === 'move',
        ).toBe(true);
      }),
    );
  });
});

describe('names, secrets and fingerprints', () => {
  it('I7: a name of any length is that long and of letters that a UNIX account may have', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 }), (length) => expect(randomName(length)).toMatch(new RegExp(`^[a-km-z2-9]{${length}}$`))),
    );
  });

  it('R44: what is stored of a secret does not contain it, and is another for another', () => {
    fc.assert(
      fc.property(fc.constantFrom('orion_join_', 'orion_node_'), (prefix) => {
        const [one, other] = [randomSecret(prefix), randomSecret(prefix)];
        expect(sha256(one)).not.toBe(sha256(other));
        expect(sha256(one)).toMatch(/^[0-9a-f]{64}$/);
      }),
    );
  });

  it('R1: a fingerprint is of the key alone: another key has another, another comment has the same', () => {
    const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((raw) => sshKeyLine('ssh-ed25519', Buffer.from(raw)));
    fc.assert(
      fc.property(bytes, bytes, fc.string(), (one, other, comment) => {
        expect(fingerprintOf(`${one} ${comment}`)).toBe(fingerprintOf(one));
        expect(fingerprintOf(one) === fingerprintOf(other)).toBe(one === other);
      }),
    );
  });
});
