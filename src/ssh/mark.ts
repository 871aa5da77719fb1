import { withDeadline } from '../lib/clock';
import { REGISTRATION_MARK_FILE } from '../lib/registration-mark';
import type { SshTarget } from './dial';
import { runOnNode, type SessionSettings } from './session';

/** `no_answer`: no machine with the pinned host key admitted our login within the deadline. */
export type MarkAnswer = 'shown' | 'not_shown' | 'no_answer';

/**
 * Checks whether the machine at `target` is the one that made `mark` for its registration just now. Never throws, and never takes longer
 * than its deadline.
 */
export type FindMark = (target: SshTarget, mark: string | null) => Promise<MarkAnswer>;

const COMMAND = `echo "orion-mark=$(head -c 100 ${REGISTRATION_MARK_FILE} 2>/dev/null)="`;
/** Ignores what a login script prints before and after. */
const PRINTED = /orion-mark=([\w-]*)=/;

/**
 * Logs in by the transports `direct` and `tunnel` at the same time. The first answer counts, because a transport without an answer takes
 * the whole deadline. For a node with the transport `tunnel`, only the tunnel is tried. So its agent does not wait for the deadline when it
 * starts again.
 */
export function createMarkFinder(settings: SessionSettings, timeoutMs: number): FindMark {
  return async (target, mark) => {
    const ask = async (reach: 'direct' | 'tunnel'): Promise<MarkAnswer> => {
      const printed = await withDeadline(timeoutMs, (signal) =>
        runOnNode(settings, { ...target, reach, awaitTunnel: false }, { command: COMMAND, signal }),
      );
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
