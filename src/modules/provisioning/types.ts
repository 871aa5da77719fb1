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

/** An account to be wiped. */
export interface AccountToWipe extends AccountName {
  /** Nobody knows whether it was ever made. Then its uid may be somebody else's on the node, so the wipe touches what the uid owns only where it finds the account itself. */
  unsure?: boolean;
}

export interface AccountSpec extends AccountName {
  leaseId: number;
  generation: number;
  /** One OpenSSH public key a line, already validated. None, and no password: nobody can log in, and what runs goes on. */
  publicKeys: string[];
  /** crypt(3) SHA-512 hash, or null for no password. */
  passwordHash: string | null;
  /** Refused as stale while any other account of Orion's is on the node: one that is made for a check must never meet a tenant. */
  alone?: boolean;
  /** The account is new, so its tenant must be able to log in: see ensurePresent. */
  proveLogin?: boolean;
  /** Until the end of the lease by the database's clock; the node adds it to its own clock, so that a skewed one does no harm. */
  remainingSeconds: number;
}

interface WipeOptions {
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

/** One thing that a machine has to be able to do. */
export interface Check {
  name: 'account' | 'login';
  result: 'ok' | 'fail';
  /** Why it failed, and what its owner can do; empty when it is ok. */
  cause: string;
  remedy: string;
}

export interface Fitness {
  /** None: there was no need to look. */
  checks: Check[];
  /** Of what was wiped again; undefined when nothing was made. */
  fence: number | undefined;
}

export interface VerifyReport {
  clean: boolean;
  /** One line for each thing that is still there: `process 123`, `file /tmp/x`, … At most 200. */
  findings: string[];
  /** `type path` of each writable file system that was not looked at, because it is not the machine's own. */
  notExamined: string[];
  durationMs: number;
}

/**
 * Makes accounts present or absent on nodes. Only its implementation knows Ansible. Every method is idempotent, has a hard
 * deadline, leaves no process behind, and throws `ProvisioningError` when the node is not as asked. Anything else that it throws is the
 * control plane's own trouble (no Ansible, no key, a full disk) and says nothing about the node.
 */
export interface Provisioner {
  /**
   * Creates the account, or brings an existing one to `spec` (a later end, other keys). Refused on the node when its fence has passed `spec.uid`,
   * and with UidTakenError when the uid is anybody else's there. With
   * `spec.proveLogin` it logs in as the account unless this process has seen that the node's rules for logins, as they are now, admit one; throws
   * ProvisioningError `login_refused` with the cause when they do not.
   */
  ensurePresent(node: NodeTarget, spec: AccountSpec, signal?: AbortSignal): Promise<PlayReport>;
  /**
   * Removes these accounts and every other Orion account (`orn-…`) of the node with all that they left, and raises the node's fence over
   * the highest uid. `details.never_made` names the unsure ones that were not found. "Already gone" is success. It does not verify. Throws NewerAccountError, nothing being done, when the
   * node holds an account that is newer than `newestUid`: a wipe that comes late must not meet the next tenant.
   */
  wipe(node: NodeTarget, accounts: AccountToWipe[], options?: WipeOptions): Promise<PlayReport>;
  /**
   * Whether a tenant could have an account on this clean node and log in to it, tried with `account`, which is wiped again; nothing is done when this process has
   * seen it under `rules`, as the wipe told them. Throws what is no answer to the question (unreachable, deadline, host_key_changed).
   */
  proveFitness(node: NodeTarget, account: AccountName, options: { rules: string; signal?: AbortSignal }): Promise<Fitness>;
  /** Looks, with code of its own and over a new connection, for anything left of these accounts or of any Orion account. */
  verifyClean(node: NodeTarget, accounts: AccountName[], signal?: AbortSignal): Promise<VerifyReport>;
}
