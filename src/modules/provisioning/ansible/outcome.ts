/** The JSON in one line of callback_plugins/orion_result.py. */
export interface TaskResult {
  event: 'ok' | 'failed' | 'unreachable';
  result: Record<string, unknown>;
}

type PlayStatus = 'ok' | 'failed' | 'unreachable' | 'host_key_changed' | 'deadline' | 'aborted';

export interface Outcome {
  status: PlayStatus;
  changed: boolean;
  /** The result of the module on the node. */
  result: Record<string, unknown>;
  /** Why the status is not `ok`; empty if it is. */
  message: string;
}

const MARK = 'ORION_RESULT ';
/** Messages of OpenSSH when another machine answers. OpenSSH and ssh2 give the last one when the server has no key of the pinned type. */
const FOREIGN_HOST_KEY = /REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed|no matching host key/;

/** Returns the last result that a play printed, or undefined if it printed none. */
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

/** Interprets a play that ended by itself. Without a result of the node, the play failed, whatever its exit status. */
export function outcomeOf(exitCode: number | null, stdout: string, stderr: string): Outcome {
  const last = lastResult(stdout);
  if (last === undefined) {
    const said = stderr.trim() || stdout.trim() || 'nothing';
    const message = `ansible-playbook ended (${String(exitCode)}) without a result and said: ${said.slice(-1000)}`;
    return { status: 'failed', changed: false, result: {}, message };
  }
  return outcomeOfResult(last, exitCode);
}

/** Interprets the last result of a play. */
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

/** Returns the message of a result. A module that ended without a result (no Python, a bug) explains that only on its standard error. */
function messageOf({ result }: TaskResult): string {
  const texts = [result['msg'], result['module_stderr']].filter((text) => typeof text === 'string');
  return texts.map((text) => text.trim().slice(-1500)).join(': ');
}

function isEvent(event: unknown): event is TaskResult['event'] {
  return event === 'ok' || event === 'failed' || event === 'unreachable';
}
