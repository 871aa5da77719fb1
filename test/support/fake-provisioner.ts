import {
  type AccountSpec,
  type AccountToWipe,
  type NodeTarget,
  type PlayReport,
  type Provisioner,
  ProvisioningError,
  type ProvisioningFailure,
} from '../../src/modules/provisioning';

export interface ProvisionerCall {
  verb: 'ensurePresent' | 'wipe' | 'verifyClean';
  nodeId: number;
  spec?: AccountSpec;
  accounts?: AccountToWipe[];
  newestUid?: number | undefined;
}

type Behaviour = (call: ProvisionerCall, signal?: AbortSignal) => Promise<void> | void;

/**
 * Replaces Ansible in tests of the database and the API. test/integration/provisioning shows that real playbooks on a real sshd keep the
 * same contract.
 */
export interface FakeProvisioner extends Provisioner {
  calls: ProvisionerCall[];
  /** Returns the names of the accounts that are on a node now. */
  accountsOn(nodeId: number): string[];
  /** Sets what happens before a call succeeds: the function may wait, or throw. Replaces the previous behaviour. */
  behave(behaviour: Behaviour): void;
  /** Makes every call of `verb` on these nodes fail (on all nodes without a list). */
  fail(failure: ProvisioningFailure, options?: { verb?: ProvisionerCall['verb']; nodes?: number[] }): void;
  /** Sets the findings of a verification on any node. */
  leave(findings: string[]): void;
  /** Sets which file systems wipe and verification report as skipped, on any node. */
  share(notExamined: string[], home?: string): void;
  /** Resets the fake to its initial state. */
  reset(): void;
}

const report = (details: Record<string, unknown> = {}): PlayReport => ({ changed: true, durationMs: 1, details });

export function createFakeProvisioner(): FakeProvisioner {
  const calls: ProvisionerCall[] = [];
  const accounts = new Map<number, Set<string>>();
  let behaviour: Behaviour = () => undefined;
  let findings: string[] = [];
  let storage: Record<string, unknown> = {};
  let notExamined: string[] = [];
  const on = (nodeId: number): Set<string> => {
    const set = accounts.get(nodeId) ?? new Set<string>();
    accounts.set(nodeId, set);
    return set;
  };
  const take = async (call: ProvisionerCall, signal?: AbortSignal): Promise<void> => {
    calls.push(call);
    await behaviour(call, signal);
  };
  return {
    calls,
    accountsOn: (nodeId) => [...on(nodeId)],
    behave: (next) => void (behaviour = next),
    fail: (failure, { verb = 'ensurePresent', nodes } = {}) => {
      behaviour = (call) => {
        if (call.verb === verb && (nodes === undefined || nodes.includes(call.nodeId))) {
          throw new ProvisioningError(failure, `the fake says ${failure}`);
        }
      };
    },
    leave: (left) => void (findings = left),
    share: (lines, home) => {
      notExamined = lines;
      storage = { not_examined: lines, ...(home === undefined ? {} : { home_storage: home }) };
    },
    reset: () => {
      calls.length = 0;
      accounts.clear();
      behaviour = () => undefined;
      findings = [];
      notExamined = [];
      storage = {};
    },
    ensurePresent: async ({ nodeId }: NodeTarget, spec, signal) => {
      await take({ verb: 'ensurePresent', nodeId, spec }, signal);
      on(nodeId).add(spec.username);
      return report();
    },
    wipe: async ({ nodeId }, gone, { newestUid, signal } = {}) => {
      await take({ verb: 'wipe', nodeId, accounts: gone, newestUid }, signal);
      on(nodeId).clear();
      return report({ removed: gone.length, ...storage });
    },
    proveFitness: () => Promise.resolve({ checks: [], fence: undefined }),
    verifyClean: async ({ nodeId }, gone, signal) => {
      await take({ verb: 'verifyClean', nodeId, accounts: gone }, signal);
      return { clean: findings.length === 0, findings, notExamined, durationMs: 1 };
    },
  };
}
