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

/** A day that is over. */
const OVER = '1';
const DAY_SECONDS = 86_400;

/**
 * Holds an account: nobody can log in to it any more, and none of its processes runs on; nothing is lost. Looks again each time it is asked,
 * for a job may have been started meanwhile. Throws when something could not be held; the rest then is.
 */
export async function holdAccount(record: AccountRecord, deps: HoldDeps): Promise<void> {
  const account = await findOwnAccount(record);
  if (!account || (record.held && (await isExpired(account.name)) && (await listAwakeProcessesOf(account.uid)).length === 0)) {
    return;
  }
  const mark = (): Promise<void> => deps.records.update(record.username, { held: true });
  // Once more at the end: provisioning, which takes the mark away, may have come between.
  const steps = [mark, () => setExpiry(account.name, OVER, deps.editor), () => freezeProcessesOf(account, deps.clock), mark];
  const failures: unknown[] = [];
  for (const step of steps) {
    await step().catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0) {
    throw new AggregateError(failures, `${record.username} is not wholly held: ${failures.map(String).join('; ')}`);
  }
  deps.logger.warn('not confirmed by the control plane for longer than the limit: account held', { username: record.username, uid: record.uid });
}

/** Gives a held account back to its tenant as it was. */
export async function releaseAccount(record: AccountRecord, { records, editor, logger }: HoldDeps): Promise<void> {
  const account = await findOwnAccount(record);
  if (account) {
    // What goes on may look at its own account.
    await setExpiry(account.name, expiryDay(record.endsAtSeconds), editor);
    await thawProcessesOf(account.uid);
  }
  await records.update(record.username, { held: false });
  logger.warn('confirmed by the control plane again: account released', { username: record.username, uid: record.uid });
}

/** As provisioning reckons it (playbooks/node/orion_account.py), from an end that may have been moved meanwhile. */
const expiryDay = (endsAtSeconds: number): string => String(Math.floor(endsAtSeconds / DAY_SECONDS) + 2);

async function isExpired(name: string): Promise<boolean> {
  return expiryOf(await readFile('/etc/shadow', 'utf8'), name) === OVER;
}

async function setExpiry(name: string, day: string, editor: PasswdEditor): Promise<void> {
  if (!(await runIfInstalled('chage', ['-E', day, name]))) {
    await editor.setExpiry(name, day);
  }
}
