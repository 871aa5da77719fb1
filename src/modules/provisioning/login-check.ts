import type { Prober, SshTarget } from '../../ssh';
import { ProvisioningError } from './errors';

export interface LoginCheckDeps {
  /** Returns a prober that logs in as that account, with the control plane's key. */
  proberOf: (username: string) => Prober;
  /** Finds the cause of a refusal in the node's configuration. */
  explain: (target: SshTarget, username: string, signal?: AbortSignal) => Promise<string>;
}

/** Whether tenants can log in to nodes. */
export interface LoginCheck {
  /** Whether this process has seen a login of a tenant account succeed under these login rules of the node. */
  isProved(nodeId: number, rules: string): boolean;
  /**
   * Logs in as `username`, as its tenant would. Throws ProvisioningError `login_refused`. Throws `unreachable` or `host_key_changed` when
   * the login failed for such a reason.
   */
  prove(target: SshTarget, username: string, options: { rules: string; signal?: AbortSignal | undefined }): Promise<void>;
}

/** Messages of ssh2 when a server accepts none of the keys, and messages of a session in which another command ran. */
const REFUSED =
  /authentication methods|No response from server|not what it was asked|the command ended with|Unable to exec|the connection ended/;

/** Remembers for each node the rules under which a login succeeded (some hundred bytes). A login costs both sides some 10 ms of CPU. */
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
