import type { SshTarget } from '../../ssh';

/** Where a node's SSH server is, how to get there, and the one host key it may show. */
export type NodeTarget = SshTarget;

/** The UNIX account of one placement. */
export interface AccountName {
  /** Generated, `orn-…`; never a platform user's name. */
  username: string;
  /** Never used twice on a node; also the number by which the node refuses work that comes too late (see fence). */
  uid: number;
}

export interface AccountSpec extends AccountName {
  leaseId: number;
  generation: number;
  /** One OpenSSH public key a line, already validated. None, and no password: nobody can log in, and what runs goes on. */
  publicKeys: string[];
  /** crypt(3) SHA-512 hash, or null for no password. */
  passwordHash: string | null;
  /** Until the end of the lease by the database's clock; the node adds it to its own clock, so that a skewed one does no harm. */
  remainingSeconds: number;
}

export interface WipeOptions {
  /** The highest uid that the node was given when the wipe was asked for. Without it whatever is there goes. */
  newestUid?: number;
  signal?: AbortSignal;
}

/** What a play said; stored with the placement, for the audit. Output is capped and holds no secret. */
export interface PlayReport {
  changed: boolean;
  durationMs: number;
  /** What the module on the node reported: counts and names of what it did, killed or removed. */
  details: Record<string, unknown>;
}

export interface VerifyReport {
  clean: boolean;
  /** One line for each thing that is still there: `process 123`, `file /tmp/x`, … At most 200. */
  findings: string[];
  durationMs: number;
}

/**
 * Makes accounts present or absent on nodes. Only its implementation knows Ansible. Every method is idempotent, has a hard
 * deadline, leaves no process behind, and throws `ProvisioningError` when the node is not as asked. Anything else that it throws is the
 * control plane's own trouble (no Ansible, no key, a full disk) and says nothing about the node.
 */
export interface Provisioner {
  /** Creates the account, or brings an existing one to `spec` (a later end, other keys). Refused on the node when its fence has passed `spec.uid`. */
  ensurePresent(node: NodeTarget, spec: AccountSpec, signal?: AbortSignal): Promise<PlayReport>;
  /**
   * Removes these accounts and every other Orion account (`orn-…`) of the node with all that they left, and raises the node's fence over
   * the highest uid. "Already gone" is success. It does not verify. Throws NewerAccountError, nothing being done, when the
   * node holds an account that is newer than `newestUid`: a wipe that comes late must not meet the next tenant.
   */
  wipe(node: NodeTarget, accounts: AccountName[], options?: WipeOptions): Promise<PlayReport>;
  /** Looks, with code of its own and over a new connection, for anything left of these accounts or of any Orion account. */
  verifyClean(node: NodeTarget, accounts: AccountName[], signal?: AbortSignal): Promise<VerifyReport>;
}
