import { rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../lib/clock';
import type { Answer } from './answer';
import type { ControlPlane } from './control-plane';
import { hasCode, writeFileAtomic } from './files';

/** What both kinds of accepted calls tell of the node. */
interface Accepted {
  status: string;
  heartbeatIntervalSeconds: number;
}

/** The control plane's last word, on disk, for `orion-agent status` and the installer. */
export interface Ledger {
  /** Never rejects: nothing but those two reads it. Writes nothing where the agent has no folder, so that it brings none back that `leave` removed. */
  note(answer: Answer<Accepted>): Promise<void>;
}

/** After one lost call the next one is still in time. */
const LIMIT_INTERVALS = 3;
const MIN_LIMIT_SECONDS = 15;

/**
 * Two files in `stateDir`/agent, whose times say when:
 * `status`: of the last accepted call: the node's status, and in the second line after how many seconds of silence it counts no more;
 * `refusal`: of the last call since then that was not accepted: the HTTP status (0: no answer), in the second line why, and in the third `retry` where the
 *   control plane asked to try again.
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
  const noteRefused = (status: number, reason: string, retry = false): Promise<void> => writeFile(file('refusal'), `${status}\n${printable(reason)}\n${retry ? 'retry\n' : ''}`, { mode: 0o600 });
  return {
    note: async (answer) => {
      try {
        await (answer.kind === 'ok' ? noteAccepted(answer.value) : answer.kind === 'refused' ? noteRefused(answer.status, answer.detail || answer.code || `it answered ${answer.status}`, answer.retryAfterSeconds !== undefined) : noteRefused(0, answer.reason));
      } catch (error) {
        // Removed by somebody, or not there yet: written anew at the next call.
        noted = hasCode(error, 'ENOENT') ? '' : noted;
      }
    },
  };
}

/** A control plane whose answers are noted. */
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

/** It is shown in a terminal. */
const printable = (text: string): string => text.replace(/[^\x20-\x7e]+/g, ' ').trim();
