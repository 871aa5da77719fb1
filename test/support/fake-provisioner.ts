import { type AccountSpec, type AccountToWipe, type NodeTarget, type PlayReport, type Provisioner, ProvisioningError, type ProvisioningFailure } from '../../src/modules/provisioning';

export interface ProvisionerCall {
  verb: 'ensurePresent' | 'wipe' | 'verifyClean';
  nodeId: number;
  spec?: AccountSpec;
  accounts?: AccountToWipe[];
  newestUid?: number | undefined;
}

type Behaviour = (call: ProvisionerCall, signal?: AbortSignal) => Promise<void> | void;

/**
 * Stands in for Ansible where the database and the API are under test; that real playbooks on real sshd keep the same contract is what
 * test/integration/provisioning shows.
 */
export interface FakeProvisioner extends Provisioner {
  calls: ProvisionerCall[];
  /** Names of the accounts that are on a node now. */
  accountsOn(nodeId: number): string[];
  /** What happens before a call succeeds: it may wait, or throw. Replaces what was said before. */
  behave(behaviour: Behaviour): void;
  /** Every call of `verb` on these nodes (all of them without a list) fails. */
  fail(failure: ProvisioningFailure, options?: { verb?: ProvisionerCall['verb']; nodes?: number[] }): void;
  /** What a verification finds on any node. */
  leave(findings: string[]): void;
  /** What wipe and verification report of file systems that they do not walk, on any node. */
  share(notExamined: string[], home?: string): void;
  /** As new. */
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
