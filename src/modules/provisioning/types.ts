import type { SshTarget } from '../../ssh';

/** The address and transport of a node's SSH server, and the only host key that it may have. */
export type NodeTarget = SshTarget;

/** The UNIX account of one placement. */
export interface AccountName {
  /** Generated, `orn-…`; never a platform user's name. */
  username: string;
  /** Never used twice on a node. The node also compares it with its fencing token, and so refuses late work. */
  uid: number;
}

/** An account to be wiped. */
export interface AccountToWipe extends AccountName {
  /**
   * It is unknown whether the account was ever made. Its uid may then belong to somebody else on the node. The wipe touches what the uid
   * owns only where it finds the account itself.
   */
  unsure?: boolean;
}

export interface AccountSpec extends AccountName {
  leaseId: number;
  generation: number;
  /**
   * One OpenSSH public key a line, already validated. Without keys and without a password, nobody can log in, but running processes go on.
   */
  publicKeys: string[];
  /** crypt(3) SHA-512 hash, or null for no password. */
  passwordHash: string | null;
  /**
   * The node refuses the account as stale while any other account of Orion is on it. A test account and a new account never meet a tenant.
   */
  alone?: boolean;
  /** The account is new, so its tenant must be able to log in: see ensurePresent. */
  proveLogin?: boolean;
  /** Time until the end of the lease by the database's clock. The node adds it to its own clock, so a skewed clock does no harm. */
  remainingSeconds: number;
}

interface WipeOptions {
  /** The highest uid that the node had been given when the wipe was requested. Without it, the wipe removes every account. */
  newestUid?: number;
  signal?: AbortSignal;
}

/** The report of a play. It is stored with the placement, for the audit. Its output is capped and contains no secret. */
export interface PlayReport {
  changed: boolean;
  durationMs: number;
  /** Report of the module on the node: counts and names of what it created, killed or removed. */
  details: Record<string, unknown>;
}

/** The result of one test of a machine. */
export interface Check {
  name: 'account' | 'login';
  result: 'ok' | 'fail';
  /** Why the test failed, and what the machine's owner can do. Both are empty when it is ok. */
  cause: string;
  remedy: string;
}

export interface Fitness {
  /** Empty when no check was necessary. */
  checks: Check[];
  /** The node's fencing token after the wipe of the test account; undefined when no account was made. */
  fence: number | undefined;
}

export interface VerifyReport {
  clean: boolean;
  /** One line for each thing that is left: `process 123`, `file /tmp/x`, … At most 200. */
  findings: string[];
  /** `type path` of each writable file system that the verification skipped because it is not local to the machine. */
  notExamined: string[];
  durationMs: number;
}

/**
 * Makes accounts present or absent on nodes. Only its implementation knows Ansible. Every method is idempotent, has a hard deadline, and
 * leaves no process behind. It throws `ProvisioningError` when the node did not do what was requested. Any other error comes from the
 * control plane itself (no Ansible, no key, a full disk) and means nothing for the node.
 */
export interface Provisioner {
  /**
   * Creates the account, or changes an existing one to match `spec` (a later end, other keys). The node refuses a `spec.uid` that is not
   * above its fencing token. Throws UidTakenError when the uid belongs to something else on the node.
   *
   * With `spec.proveLogin` it also logs in as the account. It skips that when this process has seen a login succeed under the node's
   * current login rules. Throws ProvisioningError `login_refused` with the cause when the login fails.
   */
  ensurePresent(node: NodeTarget, spec: AccountSpec, signal?: AbortSignal): Promise<PlayReport>;
  /**
   * Removes these accounts and every other Orion account (`orn-…`) of the node, with everything that they left. Raises the node's fencing
   * token to the highest uid. `details.never_made` names the unsure accounts that were not found. An account that is already gone counts as
   * success. This method does not verify.
   *
   * Throws NewerAccountError, and changes nothing, when the node has an account newer than `newestUid`: a late wipe must not hit the next
   * tenant.
   */
  wipe(node: NodeTarget, accounts: AccountToWipe[], options?: WipeOptions): Promise<PlayReport>;
  /**
   * Tests whether a tenant could have an account on this clean node and log in to it. It creates, tests and wipes `account`. Does nothing
   * when this process has seen the test succeed under `rules`, which the wipe reported. Throws when the test has no result (unreachable,
   * deadline, host_key_changed).
   */
  proveFitness(node: NodeTarget, account: AccountName, options: { rules: string; signal?: AbortSignal }): Promise<Fitness>;
  /** Checks that nothing is left of these accounts or of any Orion account, with other code than the wipe and over a new connection. */
  verifyClean(node: NodeTarget, accounts: AccountName[], signal?: AbortSignal): Promise<VerifyReport>;
}
