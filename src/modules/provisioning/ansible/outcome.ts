/** One line of callback_plugins/orion_result.py. */
export interface TaskResult {
  event: 'ok' | 'failed' | 'unreachable';
  result: Record<string, unknown>;
}

type PlayStatus = 'ok' | 'failed' | 'unreachable' | 'host_key_changed' | 'deadline' | 'aborted';

export interface Outcome {
  status: PlayStatus;
  changed: boolean;
  /** What the module reported. */
  result: Record<string, unknown>;
  /** Why it is not `ok`; empty if it is. */
  message: string;
}

const MARK = 'ORION_RESULT ';
/** What OpenSSH says when somebody else answers; the last one, as ssh2 does, when the server has no key of the pinned type at all. */
const FOREIGN_HOST_KEY = /REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed|no matching host key/;

/** The last result that a play printed, or undefined if it came to none. */
function lastResult(stdout: string): TaskResult | undefined {
  const line = stdout.split('\n').findLast((candidate) => candidate.startsWith(MARK));
  if (line === undefined) {
    return undefined;
  }
  try {
    const parsed = JSON.parse(line.slice(MARK.length)) as Partial<TaskResult>;
    return isEvent(parsed.event) && typeof parsed.result === 'object' ? { event: parsed.event, result: parsed.result } : undefined;
  } catch {
    return undefined;
  }
}

/** What a play that ended by itself came to. Without a result of the node's it has failed, whatever its exit status. */
export function outcomeOf(exitCode: number | null, stdout: string, stderr: string): Outcome {
  const last = lastResult(stdout);
  if (last === undefined) {
    const said = stderr.trim() || stdout.trim() || 'nothing';
    const message = `ansible-playbook ended (${String(exitCode)}) without a result and said: ${said.slice(-1000)}`;
    return { status: 'failed', changed: false, result: {}, message };
  }
  return outcomeOfResult(last, exitCode);
}

/** What a play came to whose last result is known. */
export function outcomeOfResult(last: TaskResult, exitCode: number | null): Outcome {
  const status = statusOf(last, exitCode);
  const message = status === 'ok' ? '' : messageOf(last) || 'the task failed';
  return { status, changed: last.result['changed'] === true, result: last.result, message };
}

export const failure = (message: string): Outcome => ({ status: 'failed', changed: false, result: {}, message });

export const ABORTED: Outcome = { ...failure('stopped by the caller; it may still have worked'), status: 'aborted' };

export const deadlineOutcome = (deadlineMs: number): Outcome => ({
  ...failure(`killed at its deadline of ${String(Math.round(deadlineMs / 1000))} s; it may still have worked`),
  status: 'deadline',
});

function statusOf(last: TaskResult, exitCode: number | null): PlayStatus {
  if (last.event === 'unreachable') {
    return FOREIGN_HOST_KEY.test(messageOf(last)) ? 'host_key_changed' : 'unreachable';
  }
  return last.event === 'ok' && exitCode === 0 ? 'ok' : 'failed';
}

/** A module that ended without an answer (no Python there, a bug in it) says why on its stderr only. */
function messageOf({ result }: TaskResult): string {
  const texts = [result['msg'], result['module_stderr']].filter((text) => typeof text === 'string');
  return texts.map((text) => text.trim().slice(-1500)).join(': ');
}

function isEvent(event: unknown): event is TaskResult['event'] {
  return event === 'ok' || event === 'failed' || event === 'unreachable';
}
