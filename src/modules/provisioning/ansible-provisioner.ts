import pLimit from 'p-limit';
import type { Clock } from '../../lib/clock';
import type { Logger } from '../../lib/logger';
import { createProber, type Dial, type PooledSessions, publicKeyOf } from '../../ssh';
import type { PlayRequest, PlayResult } from './ansible/play';
import { createPlayRunner } from './ansible/run-play';
import { createPreforkPlays } from './ansible/prefork-plays';
import {
  NewerAccountError,
  ProvisioningError,
  type ProvisioningFailure,
  StaleUidError,
  UidTakenError,
  UnfinishedWipeError,
} from './errors';
import { parseFindings } from './findings';
import { proveFitness } from './fitness';
import { createLoginCheck } from './login-check';
import type { AccountName, AccountSpec, AccountToWipe, NodeTarget, PlayReport, Provisioner } from './types';

export interface AnsibleProvisionerDeps {
  /** File with the control plane's private key; only its owner may be able to read it. */
  privateKeyFile: string;
  /** The content of that file. */
  privateKey: string;
  /** The account as which Orion logs in to nodes; it needs root's rights. */
  managementUser?: string;
  playbooksDir: string;
  /** Concurrent plays in this process; further plays wait. */
  concurrency: number;
  /** Deadline of each play from its start, without the wait for its turn. */
  deadlineSeconds: number;
  /** A play is killed when its processes use more memory than this. A normal play uses at most 82 MB. */
  memoryLimitMb: number;
  /** Connects to nodes whose transport is their tunnel. */
  dial: Dial;
  clock: Clock;
  logger: Logger;
  /** Runs plays in prefork workers. Undefined: each play is a one-off run of ansible-playbook. */
  prefork: { sessions: PooledSessions; openSessions: () => PooledSessions } | undefined;
  /** Name or path of ansible-playbook. */
  ansiblePlaybook?: string;
}

export interface AnsibleProvisioner extends Provisioner {
  /** Ends the idle prefork workers; running plays fail. */
  close(): Promise<void>;
}

type Play = Omit<PlayRequest, 'deadlineMs' | 'vars'>;
type Vars = (waitedSeconds: number) => Record<string, unknown>;

/**
 * Time reserved for returning the result. The module on the node stops this long before the play's deadline, so it ends by itself before
 * the play is killed.
 */
const WAY_BACK_SECONDS = 5;

/** Creates the provisioner that uses Ansible: each call is one play with one task. */
export function createAnsibleProvisioner(deps: AnsibleProvisionerDeps): AnsibleProvisioner {
  const { clock, deadlineSeconds } = deps;
  const executable = deps.ansiblePlaybook;
  const prefork = deps.prefork && createPreforkPlays({ ...deps, ...deps.prefork, executable });
  const runPlay = createPlayRunner({ ...deps, managementUser: deps.managementUser ?? 'orion-mgmt', executable, prefork });
  const limit = pLimit(deps.concurrency);
  const checkKey = publicKeyOf(deps.privateKey);
  const limitSeconds = Math.max(5, deadlineSeconds - WAY_BACK_SECONDS);

  const run = async (play: Play, vars: Vars): Promise<PlayResult> => {
    const askedAt = clock.monotonicMs();
    const result = await limit(() => {
      const waitedSeconds = (clock.monotonicMs() - askedAt) / 1000;
      return runPlay({ ...play, vars: vars(waitedSeconds), deadlineMs: deadlineSeconds * 1000 });
    });
    if (result.status !== 'ok') {
      throw errorOf(result);
    }
    return result;
  };

  const logins = createLoginCheck({
    proberOf: (username) => createProber({ dial: deps.dial, username, privateKey: deps.privateKey, timeoutMs: LOGIN_MS, clock }),
    explain: async (target, username, signal) =>
      textOf(await run({ playbook: 'explain_login.yml', target, signal }, () => ({ username })).catch((): undefined => undefined)),
  });

  const provisioner: AnsibleProvisioner = {
    ensurePresent: async (target, spec, signal) => {
      const report = reportOf(
        await run({ playbook: 'create_user.yml', target, freshLogin: 'beside', signal }, (waited) =>
          accountVars({ spec, checkKey, waited, limitSeconds }),
        ),
      );
      const rules = rulesOf(report);
      // A play that reached no machine reports no rules.
      if (spec.proveLogin === true && rules !== '' && !logins.isProved(target.nodeId, rules)) {
        await logins.prove(target, spec.username, { rules, signal });
      }
      return report;
    },
    proveFitness: (target, account, options) => proveFitness({ provisioner, logins }, target, { account, ...options }),
    wipe: async (target, accounts, { newestUid, signal } = {}) => {
      const vars = { ...namesOf(accounts), ...(newestUid === undefined ? {} : { newest_uid: newestUid }), limit_seconds: limitSeconds };
      return reportOf(await run({ playbook: 'delete_user.yml', target, signal }, () => vars));
    },
    verifyClean: async (target: NodeTarget, accounts: AccountName[], signal?: AbortSignal) => {
      const play = await run({ playbook: 'verify_clean.yml', target, freshLogin: 'own', signal }, () => namesOf(accounts));
      const { stdout } = play.result;
      const verified = typeof stdout === 'string' ? parseFindings(stdout) : undefined;
      if (verified === undefined) {
        throw new ProvisioningError('failed', 'the verification did not come to its end', play.output);
      }
      return { clean: verified.findings.length === 0, ...verified, durationMs: play.durationMs };
    },
    close: async () => prefork?.close(),
  };
  return provisioner;
}

/** Timeout of a login that only proves that logins work. */
const LOGIN_MS = 10_000;

const textOf = (play: PlayResult | undefined): string =>
  typeof play?.result['msg'] === 'string' ? play.result['msg'] : 'its configuration could not be read';

const rulesOf = ({ details: { login_rules: rules } }: PlayReport): string => (typeof rules === 'string' ? rules : '');

function accountVars({
  spec,
  checkKey,
  waited,
  limitSeconds,
}: {
  spec: AccountSpec;
  checkKey: string;
  waited: number;
  limitSeconds: number;
}): Record<string, unknown> {
  return {
    // An account without login keys does not admit the control plane either.
    check_key: spec.proveLogin === true || spec.publicKeys.length > 0 ? checkKey : null,
    username: spec.username,
    ...(spec.alone === true && { alone: 1 }),
    uid: spec.uid,
    lease_id: spec.leaseId,
    generation: spec.generation,
    public_keys: spec.publicKeys,
    password_hash: spec.passwordHash,
    // The lease's time goes on while the play waits for its turn.
    remaining_seconds: Math.ceil(spec.remainingSeconds - waited),
    limit_seconds: limitSeconds,
  };
}

const namesOf = (accounts: AccountToWipe[]): Record<string, unknown> => ({
  accounts: accounts.map(({ username, uid, unsure }) => ({ username, uid, ...(unsure ? { unsure } : {}) })),
});

function reportOf({ changed, durationMs, result }: PlayResult): PlayReport {
  const details = Object.fromEntries(Object.entries(result).filter(([name]) => name !== 'changed'));
  return { changed, durationMs, details };
}

function errorOf(result: PlayResult): ProvisioningError {
  const failure = failureOf(result);
  const { newest_uid: newestUid, next_free: nextFree, fence, unfinished } = result.result;
  if (failure === 'uid_taken' && Number.isSafeInteger(nextFree)) {
    return new UidTakenError(Number(nextFree), result.message, result.output);
  }
  if (failure === 'stale' && Number.isSafeInteger(newestUid)) {
    return new NewerAccountError(Number(newestUid), result.message, result.output);
  }
  if (failure === 'stale' && Number.isSafeInteger(fence)) {
    return new StaleUidError(Number(fence), result.message, result.output);
  }
  return failure === 'failed' && unfinished === true
    ? new UnfinishedWipeError(result.message, result.output)
    : new ProvisioningError(failure, result.message, result.output);
}

function failureOf(result: PlayResult): ProvisioningFailure {
  switch (result.status) {
    case 'unreachable':
    case 'host_key_changed':
    case 'deadline':
      return result.status;
    case 'aborted':
      return 'deadline';
    case 'ok':
    case 'failed':
      return refusalOf(result) ?? 'failed';
  }
}

/** Returns why a program on the node refused the work. */
function refusalOf({ result: { stale, taken } }: PlayResult): ProvisioningFailure | undefined {
  return stale === true ? 'stale' : taken === true ? 'uid_taken' : undefined;
}
