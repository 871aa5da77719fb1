import { readFile } from 'node:fs/promises';
import type { Clock } from '../lib/clock';
import type { Logger } from '../lib/logger';
import type { AccountRecord, AccountRecords } from './account-records';
import { runIfInstalled } from './command';
import { findOwnAccount } from './passwd';
import { expiryOf, type PasswdEditor } from './passwd-editor';
import { freezeProcessesOf, listAwakeProcessesOf, thawProcessesOf } from './processes';

export interface HoldDeps {
  records: AccountRecords;
  editor: PasswdEditor;
  clock: Clock;
  logger: Logger;
}

/** Expiry day 1 (2 January 1970), which is always in the past. */
const OVER = '1';
const DAY_SECONDS = 86_400;

/**
 * Suspends an account: expires it, so that nobody can log in, and stops all its processes. No data is lost. Each call checks again, because
 * a job may have started meanwhile. Tries every step, then throws if one failed.
 */
export async function holdAccount(record: AccountRecord, deps: HoldDeps): Promise<void> {
  const account = await findOwnAccount(record);
  if (!account || (record.held && (await isExpired(account.name)) && (await listAwakeProcessesOf(account.uid)).length === 0)) {
    return;
  }
  const mark = (): Promise<void> => deps.records.update(record.username, { held: true });
  // Mark again at the end: provisioning, which removes the mark, may have run in between.
  const steps = [mark, () => setExpiry(account.name, OVER, deps.editor), () => freezeProcessesOf(account, deps.clock), mark];
  const failures: unknown[] = [];
  for (const step of steps) {
    await step().catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) {
    throw new AggregateError(failures, `${record.username} is not wholly held: ${failures.map(String).join('; ')}`);
  }
  deps.logger.warn('not confirmed by the control plane for longer than the limit: account held', {
    username: record.username,
    uid: record.uid,
  });
}

/** Releases a suspended account to its tenant, unchanged. */
export async function releaseAccount(record: AccountRecord, { records, editor, logger }: HoldDeps): Promise<void> {
  const account = await findOwnAccount(record);
  if (account) {
    // Restore the expiry first: a process that runs again may check its own account.
    await setExpiry(account.name, expiryDay(record.endsAtSeconds), editor);
    await thawProcessesOf(account.uid);
  }
  await records.update(record.username, { held: false });
  logger.warn('confirmed by the control plane again: account released', { username: record.username, uid: record.uid });
}

/** Computes the expiry day as provisioning does (playbooks/node/orion_account.py), from an end that may have moved meanwhile. */
const expiryDay = (endsAtSeconds: number): string => String(Math.floor(endsAtSeconds / DAY_SECONDS) + 2);

async function isExpired(name: string): Promise<boolean> {
  return expiryOf(await readFile('/etc/shadow', 'utf8'), name) === OVER;
}

async function setExpiry(name: string, day: string, editor: PasswdEditor): Promise<void> {
  if (!(await runIfInstalled('chage', ['-E', day, name]))) {
    await editor.setExpiry(name, day);
  }
}
