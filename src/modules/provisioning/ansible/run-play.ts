import { spawn, type ChildProcess } from 'node:child_process';
import { access } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Clock } from '../../../lib/clock';
import type { Logger } from '../../../lib/logger';
import { redact, redactText } from '../../../lib/redact';
import { currentSpan, inSpan, SpanKind } from '../../../lib/trace';
import type { Dial } from '../../../ssh';
import { createCapture } from './capture';
import { playEnvironment } from './environment';
import { ABORTED, deadlineOutcome, failure, type Outcome, outcomeOf } from './outcome';
import type { PlayRequest, RunPlay } from './play';
import { createPlayDirectory, type PlayDirectory } from './play-directory';
import { openPlaySocket } from './play-socket';
import { killPlay, memoryOfPlay } from './process-group';
import { faultOfTarget } from './ssh-config';
import type { PreforkPlays } from './prefork-plays';

export interface PlayRunnerDeps {
  privateKeyFile: string;
  managementUser: string;
  playbooksDir: string;
  /** A play is killed when its processes use more memory than this. */
  memoryLimitMb: number;
  /** Connects to nodes whose transport is their tunnel; ssh connects to the others itself. */
  dial: Dial;
  clock: Clock;
  logger: Logger;
  /** Name or path of ansible-playbook. */
  executable?: string | undefined;
  /** Prefork workers, which run plays while any are available. Undefined: each play is a one-off run of ansible-playbook. */
  prefork: PreforkPlays | undefined;
}

/** Why a play was cut short. */
type Cut = 'deadline' | 'aborted' | 'memory';

interface Finished {
  exitCode: number | null;
  cut: Cut | undefined;
  stdout: string;
  stderr: string;
}

const MAX_OUTPUT = 64 * 1024;
const MAX_RESULT = 1024 * 1024;
/**
 * Interval of the memory checks. Most plays end before the first check. Ansible copies its output with each new piece, so its memory grows
 * ever more slowly.
 */
const WEIGH_MS = 2_000;
const MIB = 1024 * 1024;

export function createPlayRunner(deps: PlayRunnerDeps): RunPlay {
  const paths = { privateKeyFile: resolve(deps.privateKeyFile), playbooksDir: resolve(deps.playbooksDir) };

  const play = async (request: PlayRequest): Promise<[Outcome, string]> => {
    const outcome = await deps.prefork?.play(request);
    return outcome ? [outcome, JSON.stringify(outcome.result)] : playAlone(request);
  };

  const playAlone = async (request: PlayRequest): Promise<[Outcome, string]> => {
    const fault = faultOfTarget(request.target);
    if (fault !== undefined) {
      return [failure(fault), ''];
    }
    await mustBeReadable(paths.privateKeyFile);
    const directory = await createPlayDirectory({ ...deps, ...paths, ...request });
    const socket = request.target.reach === 'tunnel' ? await openPlaySocket(directory.socket, deps.dial, request.target) : undefined;
    try {
      const finished = await runProcess({ ...deps, ...paths }, request, directory);
      return [outcomeOfRun(finished, { ...deps, ...request }), finished.stdout + finished.stderr];
    } finally {
      await socket?.close();
      await directory.remove();
    }
  };

  const run: RunPlay = async (request) => {
    const startedAt = deps.clock.monotonicMs();
    const [outcome, said] = request.signal?.aborted ? [ABORTED, ''] : await play(request);
    const durationMs = deps.clock.monotonicMs() - startedAt;
    currentSpan()?.setAttributes({ 'orion.play.status': outcome.status });
    deps.logger.info('play ended', { playbook: request.playbook, nodeId: request.target.nodeId, status: outcome.status, durationMs });
    return {
      ...outcome,
      result: redact(outcome.result) as Record<string, unknown>,
      message: redactText(outcome.message),
      durationMs,
      output: redactText(said).slice(-MAX_OUTPUT),
    };
  };
  return (request) =>
    inSpan(`play ${request.playbook}`, () => run(request), {
      kind: SpanKind.CLIENT,
      attributes: { 'orion.node.id': request.target.nodeId },
    });
}

function outcomeOfRun(finished: Finished, { deadlineMs, memoryLimitMb }: { deadlineMs: number; memoryLimitMb: number }): Outcome {
  switch (finished.cut) {
    case 'deadline':
      return deadlineOutcome(deadlineMs);
    case 'aborted':
      return ABORTED;
    case 'memory':
      return failure(`killed because it held more than ${String(memoryLimitMb)} MB of memory: the node answers without end`);
    case undefined:
      return outcomeOf(finished.exitCode, finished.stdout, finished.stderr);
  }
}

async function runProcess(deps: PlayRunnerDeps, request: PlayRequest, directory: PlayDirectory): Promise<Finished> {
  const args = ['-i', directory.inventory, '-e', `@${directory.vars}`, join(deps.playbooksDir, request.playbook)];
  const child = spawn(deps.executable ?? 'ansible-playbook', args, {
    cwd: directory.path,
    detached: true, // a process group of its own, to be killed as a whole
    env: playEnvironment(directory, deps.playbooksDir),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const stdout = createCapture(child.stdout, MAX_RESULT);
  const stderr = createCapture(child.stderr, MAX_OUTPUT);
  const ended = new AbortController();
  let cut: Finished['cut'];
  const watch = async (): Promise<void> => {
    cut = await untilCut(deps, request, { mark: directory.path, ended: ended.signal });
    if (cut === undefined || child.pid === undefined) {
      return;
    }
    const left = await killPlay(child.pid, directory.path, deps.clock);
    if (left.length > 0) {
      deps.logger.error('processes of a play do not die', { playbook: request.playbook, pids: left });
    }
    child.stdout.destroy();
    child.stderr.destroy();
  };
  const watching = watch();
  try {
    const exitCode = await closed(child);
    return { exitCode, cut, stdout: stdout(), stderr: stderr() };
  } finally {
    ended.abort();
    await watching;
  }
}

/** Waits until the play must be cut short. Returns undefined when the play ended before that. */
async function untilCut(
  { clock, memoryLimitMb }: PlayRunnerDeps,
  { deadlineMs, signal }: PlayRequest,
  { mark, ended }: { mark: string; ended: AbortSignal },
): Promise<Cut | undefined> {
  const wake = signal ? AbortSignal.any([ended, signal]) : ended;
  const deadline = clock.monotonicMs() + deadlineMs;
  for (let left = deadlineMs; left > 0; left = deadline - clock.monotonicMs()) {
    await clock.sleep(Math.min(left, WEIGH_MS), wake);
    if (ended.aborted) {
      return undefined;
    }
    if (signal?.aborted) {
      return 'aborted';
    }
    if ((await memoryOfPlay(mark)) > memoryLimitMb * MIB) {
      return 'memory';
    }
  }
  return ended.aborted ? undefined : 'deadline';
}

function closed(child: ChildProcess): Promise<number | null> {
  return new Promise((resolveCode, reject) => {
    child.once('error', (error) => reject(new Error(explainSpawn(error), { cause: error })));
    child.once('close', resolveCode);
  });
}

async function mustBeReadable(privateKeyFile: string): Promise<void> {
  await access(privateKeyFile).catch((error: unknown) => {
    throw new Error(`the private key ${privateKeyFile} cannot be read`, { cause: error });
  });
}

function explainSpawn(error: unknown): string {
  const missing = typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT';
  return missing
    ? 'ansible-playbook is not installed on the control plane: install ansible-core'
    : `ansible-playbook cannot be started: ${String(error)}`;
}
