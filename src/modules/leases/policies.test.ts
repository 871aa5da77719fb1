import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { OrionError } from '../../lib/errors';
import { decideAfterFailure, type PlacementFailure } from './after-failure';
import { checkTerm } from './lease-term';
import { isRunning, type LeaseState } from './types';

describe('what follows a failure on a node', () => {
  it('R21: one that can be reached gets a second chance, any other none', () => {
    expect(decideAfterFailure({ failure: 'failed', attempts: 1 })).toBe('retry');
    expect(decideAfterFailure({ failure: 'failed', attempts: 2 })).toBe('move');
    for (const failure of ['unreachable', 'host_key_changed', 'stale', 'deadline'] as const) {
      expect(decideAfterFailure({ failure, attempts: 1 })).toBe('move');
    }
  });

  it('R21: nothing is tried for ever on one node', () => {
    const failures = fc.constantFrom<PlacementFailure>('unreachable', 'host_key_changed', 'stale', 'deadline', 'failed');
    fc.assert(
      fc.property(failures, fc.integer({ min: 2, max: 1000 }), (failure, attempts) => decideAfterFailure({ failure, attempts }) === 'move'),
    );
  });
});

describe('the term of a lease', () => {
  it('R11: is allowed up to the limit and refused beyond it, with the limit told', () => {
    expect(() => checkTerm(24 * 3600, { maxLeaseHours: 24 })).not.toThrow();
    try {
      checkTerm(24 * 3600 + 0.001, { maxLeaseHours: 24 });
      throw new Error('it was allowed');
    } catch (error) {
      expect(error).toBeInstanceOf(OrionError);
      expect(error).toMatchObject({ code: 'duration_too_long', details: { max_lease_hours: 24 } });
    }
  });

  it('R11: more than allowed is never allowed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8784 }), fc.double({ min: 0.001, max: 1e12, noNaN: true }), (maxLeaseHours, more) => {
        expect(() => checkTerm(maxLeaseHours * 3600 + more, { maxLeaseHours })).toThrow(OrionError);
      }),
    );
  });
});

describe('a lease that runs', () => {
  it('I1: holds a node: provisioning, active and migrating do, and no other state', () => {
    const states: LeaseState[] = ['provisioning', 'active', 'migrating', 'ending', 'ended', 'failed'];
    expect(states.filter(isRunning)).toEqual(['provisioning', 'active', 'migrating']);
  });
});
