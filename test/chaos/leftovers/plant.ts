import { type SshTarget, sshExec, type Worker } from '../../lab';
import type { Account, Leftover } from './kinds';

/** What belongs to the machine and has to be the same after the wipe. */
export interface Ground {
  victim: string;
  shared: string;
  /** As root saw it before anything was planted. */
  before: string;
}

/**
 * Inode, links, owner, rights and content of the victim and of what the planted links point to; not how many files are in /etc, where the
 * shadow tools keep backups.
 */
const state = (victim: string): string =>
  `stat -c '%i %h %U %G %a %s' ${victim}; stat -c '%i %h %U %G %a' /etc; stat -c '%h %U %a' /etc/passwd; cat ${victim}; grep ^root: /etc/passwd`;

/** Makes a file and a directory of root's that all may write, which is as much as the kernel lets a tenant link to. */
export async function layGround(worker: Worker, tag: string): Promise<Ground> {
  const dir = `/srv/ground-${tag}`;
  const victim = `${dir}/victim`;
  await rootOf(worker, `mkdir -m 755 ${dir} && mkdir -m 1777 ${dir}/shared && echo 'not yours ${tag}' > ${victim} && chmod 666 ${victim}`);
  return { victim, shared: `${dir}/shared`, before: await rootOf(worker, state(victim)) };
}

/** Empty when it is as it was; then the ground is cleared away. */
export async function judgeGround(worker: Worker, { victim, shared, before }: Ground): Promise<string[]> {
  const after = await rootOf(worker, state(victim));
  const left = await rootOf(worker, `ls -A ${shared}`);
  await rootOf(worker, `rm -r ${shared.replace(/\/[^/]*$/, '')}`);
  return [
    ...(after === before ? [] : [`a file of another was ${before}, is ${after}`]),
    ...(left === '' ? [] : [`left in a directory of another: ${left}`]),
  ];
}

/**
 * Plants these, in this order, through one login of the tenant. Returns the process of that login's session, to be waited for where
 * it must not be taken for a leftover. Throws with the names of those that could not be planted: a machine that keeps them out proves
 * nothing.
 */
export async function plant(
  leftovers: Leftover[],
  account: Account,
  { worker, ground, login }: { worker: Worker; ground: Ground; login: SshTarget },
): Promise<{ session: number }> {
  const preparations = leftovers.flatMap(({ prepare }) => (prepare === undefined ? [] : [`(${prepare}) || exit 1`]));
  await rootOf(worker, `NAME=${account.username} ID=${account.uid}\n${preparations.join('\n')}\n`);
  const parts = leftovers.map((leftover, i) => `(\n${leftover.plant}\n) </dev/null >/dev/null; echo "planted ${i} $?"`);
  const script = `export VICTIM=${ground.victim} SHARED=${ground.shared} ID=${account.uid}\ncd\necho "session $PPID"\n${parts.join('\ncd\n')}\nexit 0\n`;
  const { stdout, stderr, code } = await sshExec(login, 'sh -s', { input: script, timeoutMs: 40_000 });
  const missing = leftovers.filter((_, i) => !stdout.includes(`planted ${i} 0\n`)).map(({ name }) => name);
  if (missing.length > 0) {
    throw new Error(
      `as ${account.username} (${account.uid}) on ${worker.name}: could not plant ${missing.join(', ')}: ended with ${String(code)}: ${stderr.slice(-1000)}`,
    );
  }
  return { session: Number(/^session (\d+)$/m.exec(stdout)?.[1]) };
}

async function rootOf(worker: Worker, command: string): Promise<string> {
  const { code, stdout, stderr } = await worker.exec(command);
  if (code !== 0) {
    throw new Error(`on ${worker.name}: ${command} ended with ${String(code)}: ${stderr.slice(-500)}`);
  }
  return stdout.trim();
}
