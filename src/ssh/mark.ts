import { withDeadline } from '../lib/clock';
import { REGISTRATION_MARK_FILE } from '../lib/registration-mark';
import type { SshTarget } from './dial';
import { runOnNode, type SessionSettings } from './session';

/** `no_answer`: nothing with the pinned host key took our login there within the deadline. */
export type MarkAnswer = 'shown' | 'not_shown' | 'no_answer';

/** Looks whether the machine at `target` is the one that made `mark` for its registration just now. Never throws, never takes longer than its deadline. */
export type FindMark = (target: SshTarget, mark: string | null) => Promise<MarkAnswer>;

const COMMAND = `echo "orion-mark=$(head -c 100 ${REGISTRATION_MARK_FILE} 2>/dev/null)="`;
/** What a login script prints before and after it does not matter. */
const PRINTED = /orion-mark=([\w-]*)=/;

/**
 * Logs in over the node's address and over its tunnel at the same time. The first answer counts: a way that nobody answers on takes the whole deadline. The address of a
 * node that is reached through its tunnel is not tried, so that its agent need not wait for the deadline when it starts again.
 */
export function createMarkFinder(settings: SessionSettings, timeoutMs: number): FindMark {
  return async (target, mark) => {
    const ask = async (reach: 'direct' | 'tunnel'): Promise<MarkAnswer> => {
      const printed = await withDeadline(timeoutMs, (signal) => runOnNode(settings, { ...target, reach, awaitTunnel: false }, { command: COMMAND, signal }));
      const found = PRINTED.exec(printed)?.[1];
      if (found === undefined) {
        throw new Error('it did not answer what it was asked');
      }
      return mark !== null && found === mark ? 'shown' : 'not_shown';
    };
    const ways = target.reach === 'tunnel' ? [ask('tunnel')] : [ask('direct'), ask('tunnel')];
    return Promise.any(ways).catch(() => 'no_answer' as const);
  };
}
