import { ProvisioningError, UidTakenError } from './errors';
import type { LoginCheck } from './login-check';
import type { AccountName, Check, Fitness, NodeTarget, Provisioner } from './types';

export interface FitnessDeps {
  provisioner: Pick<Provisioner, 'ensurePresent' | 'wipe' | 'verifyClean'>;
  logins: LoginCheck;
}

export interface FitnessJob {
  account: AccountName;
  rules: string;
  signal?: AbortSignal;
}

/** Lifetime of the test account: long enough for the check, and short because a crash leaves the account until the next wipe. */
const ACCOUNT_SECONDS = 300;

const REMEDIES: Record<Check['name'], string> = {
  account:
    'an account needs a writable /home, /etc/passwd and /etc/shadow, and some free disk; see docs/enrolment.md, "What a machine needs"',
  login: 'let accounts named orn-* (members of the group orion-keys) log in with a key; see docs/enrolment.md, "What a machine needs"',
};

const OK = { result: 'ok', cause: '', remedy: '' } as const;
const failed = (name: Check['name'], cause: string): Check => ({ name, result: 'fail', cause, remedy: REMEDIES[name] });

/** See Provisioner. The account is created, logged in to, wiped and verified in the same way as a tenant's account. */
export async function proveFitness(
  { provisioner, logins }: FitnessDeps,
  target: NodeTarget,
  { account, rules, signal }: FitnessJob,
): Promise<Fitness> {
  if (logins.isProved(target.nodeId, rules)) {
    return { checks: [], fence: undefined };
  }
  const { checks, made } = await tryAccounts({ provisioner, target, account, signal });
  const { details } = await provisioner.wipe(target, [{ ...made, unsure: true }], { newestUid: made.uid, ...(signal && { signal }) });
  const { never_made: neverMade } = details;
  const isGone = Array.isArray(neverMade) && neverMade.includes(made.username);
  const { clean, findings } = await provisioner.verifyClean(target, isGone ? [] : [made], signal);
  if (!clean) {
    throw new ProvisioningError('failed', `left after the check of logins: ${findings.slice(0, 5).join('; ')}`);
  }
  return { checks, fence: typeof details['fence'] === 'number' ? details['fence'] : undefined };
}

const ATTEMPTS = 3;

interface Tried {
  checks: Check[];
  /** The test account, with the uid that was free. */
  made: AccountName;
}

/** Tries the account, and skips uids that belong to something else on the node. Gives up after 3 taken uids. */
async function tryAccounts(job: Omit<Parameters<typeof tryAccount>[0], 'account'> & { account: AccountName }): Promise<Tried> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return { checks: await tryAccount(job), made: job.account };
    } catch (error) {
      if (!(error instanceof UidTakenError) || attempt === ATTEMPTS) {
        throw error;
      }
      job = { ...job, account: { ...job.account, uid: Math.max(job.account.uid + 1, error.nextFree) } };
    }
  }
}

async function tryAccount({
  provisioner,
  target,
  account,
  signal,
}: {
  provisioner: FitnessDeps['provisioner'];
  target: NodeTarget;
  account: AccountName;
  signal: AbortSignal | undefined;
}): Promise<Check[]> {
  try {
    await provisioner.ensurePresent(
      target,
      {
        ...account,
        leaseId: 0,
        generation: 0,
        publicKeys: [],
        passwordHash: null,
        remainingSeconds: ACCOUNT_SECONDS,
        proveLogin: true,
        alone: true,
      },
      signal,
    );
    return [
      { name: 'account', ...OK },
      { name: 'login', ...OK },
    ];
  } catch (error) {
    if (error instanceof ProvisioningError && error.failure === 'login_refused') {
      return [{ name: 'account', ...OK }, failed('login', error.message)];
    }
    if (error instanceof ProvisioningError && error.failure === 'failed') {
      return [failed('account', error.message)];
    }
    throw error;
  }
}
