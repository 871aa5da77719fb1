import { type Clock, DeadlineError, withDeadline } from '../../../lib/clock';
import { messageOf } from '../../../lib/errors';
import { type CommandResult, HostKeyChangedError, type PooledSessions, OutputLimitError, type SshTarget } from '../../../ssh';
import { ABORTED, deadlineOutcome, failure, type Outcome, outcomeOfResult, type TaskResult } from './outcome';
import type { PlayRequest } from './play';
import { faultOfTarget } from './ssh-config';
import { createPreforkWorkers, type PreforkWorker, type PreforkWorkersDeps } from './prefork-workers';

export interface PreforkPlaysDeps extends PreforkWorkersDeps {
  /** Pooled SSH sessions to nodes. */
  sessions: PooledSessions;
  /** Opens a pool for one play that must make a new login; it is closed after the play. */
  openSessions: () => PooledSessions;
}

/** Runs plays in prefork workers, over pooled SSH sessions of this process. A worker needs no ssh process, no key and no login. */
export interface PreforkPlays {
  /** Runs a play. Returns undefined when no prefork worker is available for now; the play was then not started. */
  play(request: PlayRequest): Promise<Outcome | undefined>;
  close(): Promise<void>;
}

/** A message of a worker: a command to run on the node, or the result of the play. */
type Said = { command: string; input: string } | TaskResult;

/** The result of a command on the node, or why the node was unreachable. Where the text matters, it is that of ssh(1). */
type Answer = CommandResult | { unreachable: string };

/** The exit status of a command that was killed. */
const KILLED = 137;
const ALIVE_EVERY_MS = 5_000;
const ALIVE_LIMIT_MS = 15_000;

export function createPreforkPlays(deps: PreforkPlaysDeps): PreforkPlays {
  const workers = createPreforkWorkers(deps);
  return {
    play: async (request) => {
      const fault = faultOfTarget(request.target);
      if (fault !== undefined) {
        return failure(fault);
      }
      const { anew, sessions } = sessionsFor(deps, request);
      try {
        return await withDeadline(
          request.deadlineMs,
          async (signal) => {
            const [outcome, refused] = await Promise.all([
              playOnce(workers.take(), { request, sessions, signal, clock: deps.clock }),
              anew && knock(anew, request.target, signal),
            ]);
            return outcome?.status === 'ok' && refused ? refused : outcome;
          },
          request.signal,
        );
      } catch (error) {
        return outcomeOfCut(error, request);
      } finally {
        anew?.close();
      }
    },
    close: () => workers.close(),
  };
}

function sessionsFor(
  { sessions, openSessions }: PreforkPlaysDeps,
  { freshLogin, target }: PlayRequest,
): { anew: PooledSessions | undefined; sessions: PooledSessions } {
  if (freshLogin === 'own') {
    const anew = openSessions();
    return { anew, sessions: anew };
  }
  // Where no session is open, the play's own login is a new one.
  return { anew: freshLogin === 'beside' && sessions.has(target) ? openSessions() : undefined, sessions };
}

/**
 * Tests a new login to the node. Returns undefined when it works, else the failure. A tenant will need a new login, and a pooled session
 * does not prove that it works.
 */
async function knock(sessions: PooledSessions, target: SshTarget, signal: AbortSignal): Promise<Outcome | undefined> {
  try {
    await sessions.keep(target, signal);
    return undefined;
  } catch (error) {
    return outcomeOfResult({ event: 'unreachable', result: { msg: whyUnreachable(error) } }, 0);
  }
}

interface Stage {
  request: PlayRequest;
  sessions: PooledSessions;
  signal: AbortSignal;
  clock: Clock;
}

async function playOnce(taking: Promise<PreforkWorker | undefined>, stage: Stage): Promise<Outcome | undefined> {
  const {
    request: { playbook, vars, target },
    sessions,
    signal,
  } = stage;
  // If no session is open, connect now: the session is ready when the play sends its first command.
  sessions.keep(target, signal).catch(() => undefined);
  const worker = await taking;
  if (!worker) {
    return undefined;
  }
  signal.addEventListener('abort', worker.end, { once: true });
  try {
    if (signal.aborted) {
      throw signal.reason;
    }
    worker.wire.say({ playbook, vars });
    for (;;) {
      const said = (await worker.wire.hear()) as Said;
      if ('event' in said) {
        return outcomeOfResult(said, 0);
      }
      worker.wire.say(await answer({ ...stage, signal: AbortSignal.any([signal, worker.wire.over]) }, said));
    }
  } finally {
    signal.removeEventListener('abort', worker.end);
    worker.end();
  }
}

async function answer(
  { request: { target }, sessions, signal, clock }: Stage,
  { command, input }: { command: string; input: string },
): Promise<Answer> {
  const over = new AbortController();
  void watchOver(sessions, target, { clock, over: over.signal });
  try {
    const result = await sessions.run(target, { command, input, signal });
    return { ...result, code: result.code ?? KILLED };
  } catch (error) {
    if (signal.aborted || error instanceof OutputLimitError) {
      throw error;
    }
    return { unreachable: whyUnreachable(error) };
  } finally {
    over.abort();
  }
}

const whyUnreachable = (error: unknown): string =>
  `${error instanceof HostKeyChangedError ? 'Host key verification failed: ' : ''}${messageOf(error)}`;

/**
 * Pings the node while it runs a command. A node that does not answer loses its connection after 15 s, long before the deadline of the
 * play.
 */
async function watchOver(sessions: PooledSessions, target: SshTarget, { clock, over }: { clock: Clock; over: AbortSignal }): Promise<void> {
  for (;;) {
    await clock.sleep(ALIVE_EVERY_MS, over);
    if (over.aborted) {
      return;
    }
    await withDeadline(ALIVE_LIMIT_MS, (signal) => sessions.ping(target, signal)).catch(() => undefined);
  }
}

function outcomeOfCut(error: unknown, { deadlineMs, signal }: PlayRequest): Outcome {
  if (signal?.aborted) {
    return ABORTED;
  }
  if (error instanceof DeadlineError) {
    return deadlineOutcome(deadlineMs);
  }
  return failure(error instanceof OutputLimitError ? 'stopped because the node answers without end' : messageOf(error));
}
