import type { Prober, SshTarget } from '../../ssh';
import { ProvisioningError } from './errors';

export interface LoginCheckDeps {
  /** Logs in as that account, with the control plane's key. */
  proberOf: (username: string) => Prober;
  /** What the node's configuration says of a refusal. */
  explain: (target: SshTarget, username: string, signal?: AbortSignal) => Promise<string>;
}

/** Whether tenants can log in to nodes. */
export interface LoginCheck {
  /** Whether this process has seen a tenant log in under these rules of the node. */
  isProved(nodeId: number, rules: string): boolean;
  /** Logs in as `username` as its tenant would. Throws ProvisioningError `login_refused`, or `unreachable` and `host_key_changed` when that is not the reason. */
  prove(target: SshTarget, username: string, options: { rules: string; signal?: AbortSignal | undefined }): Promise<void>;
}

/** What ssh2 says when a server takes none of the keys, and what a session tells in which something else ran. */
const REFUSED = /authentication methods|No response from server|not what it was asked|the command ended with|Unable to exec|the connection ended/;

/** Rules that were proved are remembered for each node, some hundred bytes: a login costs both sides some 10 ms of processor time. */
export function createLoginCheck({ proberOf, explain }: LoginCheckDeps): LoginCheck {
  const proved = new Map<number, string>();
  return {
    isProved: (nodeId, rules) => proved.get(nodeId) === rules,
    prove: async (target, username, { rules, signal }) => {
      const { outcome, reason } = await proberOf(username).probe(target, signal);
      if (outcome === 'ok') {
        proved.set(target.nodeId, rules);
        return;
      }
      proved.delete(target.nodeId);
      if (outcome === 'host_key_changed' || !REFUSED.test(reason ?? '')) {
        throw new ProvisioningError(outcome === 'host_key_changed' ? outcome : 'unreachable', reason ?? 'no answer');
      }
      throw new ProvisioningError('login_refused', `tenants cannot log in: ${await explain(target, username, signal)} (${reason ?? ''})`);
    },
  };
}
