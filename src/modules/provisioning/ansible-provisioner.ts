import pLimit from 'p-limit';
import type { Clock } from '../../lib/clock';
import type { Logger } from '../../lib/logger';
import { createProber, type Dial, type PooledSessions, publicKeyOf } from '../../ssh';
import type { PlayRequest, PlayResult } from './ansible/play';
import { createPlayRunner } from './ansible/run-play';
import { createWarmPlays } from './ansible/warm-plays';
import { NewerAccountError, ProvisioningError, type ProvisioningFailure, StaleUidError, UidTakenError, UnfinishedWipeError } from './errors';
import { parseFindings } from './findings';
import { proveFitness } from './fitness';
import { createLoginCheck } from './login-check';
import type { AccountName, AccountSpec, AccountToWipe, NodeTarget, PlayReport, Provisioner } from './types';

export interface AnsibleProvisionerDeps {
  /** The control plane's private key; must be readable by its owner only. */
  privateKeyFile: string;
  /** What is in it. */
  privateKey: string;
  /** The account on the nodes that Orion works as; it needs root's rights. */
  managementUser?: string;
  playbooksDir: string;
  /** Plays at once in this process; the others wait. */
  concurrency: number;
  /** For each play, from its start; waiting for a free place does not count. */
  deadlineSeconds: number;
  /** A play whose processes hold more is killed. One that is well holds 82 MB at its peak. */
  memoryLimitMb: number;
  /** For nodes that are reached through their tunnels. */
  dial: Dial;
  clock: Clock;
  logger: Logger;
  /** For plays in processes that have Ansible loaded; undefined: each is a process of ansible-playbook. */
  warm: { sessions: PooledSessions; openSessions: () => PooledSessions } | undefined;
  /** Name or path of ansible-playbook. */
  ansiblePlaybook?: string;
}

export interface AnsibleProvisioner extends Provisioner {
  /** Ends what waits for plays; plays that are under way break. */
  close(): Promise<void>;
}

type Play = Omit<PlayRequest, 'deadlineMs' | 'vars'>;
type Vars = (waitedSeconds: number) => Record<string, unknown>;

/** What the module on the node leaves to the way back: it gives up itself before the play is killed over its head. */
const WAY_BACK_SECONDS = 5;

/** The provisioner that works with Ansible: one play and one task for each call. */
export function createAnsibleProvisioner(deps: AnsibleProvisionerDeps): AnsibleProvisioner {
  const { clock, deadlineSeconds } = deps;
  const executable = deps.ansiblePlaybook;
  const warm = deps.warm && createWarmPlays({ ...deps, ...deps.warm, executable });
  const runPlay = createPlayRunner({ ...deps, managementUser: deps.managementUser ?? 'orion-mgmt', executable, warm });
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
    explain: async (target, username, signal) => textOf(await run({ playbook: 'explain_login.yml', target, signal }, () => ({ username })).catch((): undefined => undefined)),
  });

  const provisioner: AnsibleProvisioner = {
    ensurePresent: async (target, spec, signal) => {
      const report = reportOf(await run({ playbook: 'create_user.yml', target, freshLogin: 'beside', signal }, (waited) => accountVars({ spec, checkKey, waited, limitSeconds })));
      const rules = rulesOf(report);
      // A play that went to no machine tells none.
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
    close: async () => warm?.close(),
  };
  return provisioner;
}

/** For a login that only proves that one is possible. */
const LOGIN_MS = 10_000;

const textOf = (play: PlayResult | undefined): string => (typeof play?.result['msg'] === 'string' ? play.result['msg'] : 'its configuration could not be read');

const rulesOf = ({ details: { login_rules: rules } }: PlayReport): string => (typeof rules === 'string' ? rules : '');

function accountVars({ spec, checkKey, waited, limitSeconds }: { spec: AccountSpec; checkKey: string; waited: number; limitSeconds: number }): Record<string, unknown> {
  return {
    // An account that opens to nobody opens to the control plane neither.
    check_key: spec.proveLogin === true || spec.publicKeys.length > 0 ? checkKey : null,
    username: spec.username,
    ...(spec.alone === true && { alone: 1 }),
    uid: spec.uid,
    lease_id: spec.leaseId,
    generation: spec.generation,
    public_keys: spec.publicKeys,
    password_hash: spec.passwordHash,
    // The lease did not stand still while the play waited for its turn.
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
  return failure === 'failed' && unfinished === true ? new UnfinishedWipeError(result.message, result.output) : new ProvisioningError(failure, result.message, result.output);
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

/** What a program on the node refused to do. */
function refusalOf({ result: { stale, taken } }: PlayResult): ProvisioningFailure | undefined {
  return stale === true ? 'stale' : taken === true ? 'uid_taken' : undefined;
}
