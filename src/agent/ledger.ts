import { rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../lib/clock';
import type { Answer } from './answer';
import type { ControlPlane } from './control-plane';
import { hasCode, writeFileAtomic } from './files';

/** The fields that both kinds of accepted calls have. */
interface Accepted {
  status: string;
  heartbeatIntervalSeconds: number;
}

/** The control plane's last answer, on disk, for `orion-agent status` and the installer. */
export interface Ledger {
  /**
   * Writes an answer. Never rejects, because only those two programs read the files. Writes nothing where the agent has no folder, so it
   * does not recreate a folder that `leave` removed.
   */
  note(answer: Answer<Accepted>): Promise<void>;
}

/** Number of heartbeat intervals after which `status` is stale. With 3, the retry after one lost call still comes in time. */
const LIMIT_INTERVALS = 3;
const MIN_LIMIT_SECONDS = 15;

/**
 * Writes two files in `stateDir`/agent, whose modification times are the times of the calls.
 *
 * - `status`: the last accepted call. Line 1: the node's status. Line 2: after how many seconds without an answer the status is stale.
 * - `refusal`: the last call since then that was not accepted. Line 1: the HTTP status (0: no answer). Line 2: the reason. Line 3: `retry`
 *   if the control plane requested another try.
 */
export function createLedger(stateDir: string, clock: Clock): Ledger {
  const file = (name: string): string => join(stateDir, 'agent', name);
  let noted = '';
  const noteAccepted = async ({ status, heartbeatIntervalSeconds }: Accepted): Promise<void> => {
    const text = `${status}\n${Math.ceil(Math.max(MIN_LIMIT_SECONDS, LIMIT_INTERVALS * heartbeatIntervalSeconds))}\n`;
    if (noted === text) {
      const now = clock.now();
      await utimes(file('status'), now, now);
    } else {
      await writeFileAtomic(file('status'), text, { mode: 0o600 });
      noted = text;
    }
    await rm(file('refusal'), { force: true });
  };
  const noteRefused = (status: number, reason: string, retry = false): Promise<void> =>
    writeFile(file('refusal'), `${status}\n${printable(reason)}\n${retry ? 'retry\n' : ''}`, { mode: 0o600 });
  return {
    note: async (answer) => {
      try {
        await (answer.kind === 'ok'
          ? noteAccepted(answer.value)
          : answer.kind === 'refused'
            ? noteRefused(
                answer.status,
                answer.detail || answer.code || `it answered ${answer.status}`,
                answer.retryAfterSeconds !== undefined,
              )
            : noteRefused(0, answer.reason));
      } catch (error) {
        // Somebody removed the file, or it does not exist yet: the next call writes a new one.
        noted = hasCode(error, 'ENOENT') ? '' : noted;
      }
    },
  };
}

/** Wraps a control plane so that the ledger records its answers. */
export function withLedger(controlPlane: ControlPlane, ledger: Ledger): ControlPlane {
  const noted = async <T extends Accepted>(call: Promise<Answer<T>>): Promise<Answer<T>> => {
    const answer = await call;
    await ledger.note(answer);
    return answer;
  };
  return {
    ...controlPlane,
    register: (...call) => noted(controlPlane.register(...call)),
    heartbeat: (...call) => noted(controlPlane.heartbeat(...call)),
  };
}

/** Removes control characters and non-ASCII text, because a terminal shows the reason. */
const printable = (text: string): string => text.replace(/[^\x20-\x7e]+/g, ' ').trim();
