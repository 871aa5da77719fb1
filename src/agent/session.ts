import type { Clock } from '../lib/clock';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { Answer } from './answer';
import type { ControlPlane } from './control-plane';
import type { CredentialStore } from './credential-store';
import type { Rest } from './rest';
import { heartbeatPauseSeconds, judgeAnswer, type Pace, retrySeconds } from './verdict';
import type { ControlOffer, HeartbeatAnswer, HeartbeatBody, RegisterBody } from './wire';

/** Why a session ended: told to stop, retired by an operator, or `leave` was run beside it. */
export type SessionEnd = 'stopped' | 'retired' | 'left';

/** The control plane answered that this machine is a copy of another one that is in use. Its message is the remedy. */
export class ClonedMachineError extends Error {
  override name = 'ClonedMachineError';
}

export interface SessionDeps {
  controlPlane: ControlPlane;
  credentials: CredentialStore;
  clock: Clock;
  logger: Logger;
  describeSelf: () => Promise<RegisterBody>;
  describeState: () => Promise<HeartbeatBody>;
  /** The public host key that the machine has now. */
  readHostKey: () => Promise<string>;
  /** Installs what the control plane has signed. A failure is logged and does not end the session. */
  applyManagement: (offer: ControlOffer | undefined) => Promise<void>;
  /** The control plane took this machine in: it is the one that its credential belongs to. Called at each registration. */
  onRegistered: () => void;
  onHeartbeat: (answer: HeartbeatAnswer) => Promise<void>;
  /** Asked before each call, with the interval that was told. */
  pace: (intervalSeconds: number) => Pace;
  rest: Rest;
  /** It learns of accounts that come, and cuts the rest for them: it may be told to rest for longer than those may wait. */
  watchful: boolean;
}

interface State {
  credential: string | undefined;
  registered: boolean;
  /** That the machine registered with: another one it has to prove, by registering again. */
  hostKey: string;
  /** Turns with each refusal: a credential that is refused may keep a good join token from being seen, and may be good again later. */
  presentCredential: boolean;
  status: string;
  failures: number;
  /** Told by the last answer; undefined when an account came after it. */
  keptSeconds: number | undefined;
  signal: AbortSignal;
}

type Step = { end: SessionEnd } | { pauseSeconds: number };

/** Registers and then calls home until `signal` aborts or the membership is over. Never gives up, one call at a time. Rejects with ClonedMachineError alone. */
export async function runSession(deps: SessionDeps, signal: AbortSignal): Promise<SessionEnd> {
  const state: State = { credential: await deps.credentials.find(), registered: false, hostKey: '', presentCredential: true, status: '', failures: 0, keptSeconds: undefined, signal };
  while (!signal.aborted) {
    const step = await takeStep(deps, state);
    if ('end' in step) {
      return step.end;
    }
    if (await deps.rest.take(step.pauseSeconds * 1000, signal)) {
      state.keptSeconds = undefined;
    }
  }
  return 'stopped';
}

async function takeStep(deps: SessionDeps, state: State): Promise<Step> {
  try {
    if (await wasForgotten(deps, state)) {
      return { end: 'left' };
    }
    state.registered &&= (await deps.readHostKey()) === state.hostKey;
    return state.registered && state.credential !== undefined
      ? await callHome(deps, state, state.credential)
      : await register(deps, state);
  } catch (error) {
    if (error instanceof ClonedMachineError) {
      throw error;
    }
    return retry(deps, state, { kind: 'failed', reason: messageOf(error) });
  }
}

async function wasForgotten({ credentials }: SessionDeps, { credential }: State): Promise<boolean> {
  return credential !== undefined && (await credentials.find()) === undefined;
}

async function register(deps: SessionDeps, state: State): Promise<Step> {
  const presented = state.presentCredential ? state.credential : undefined;
  const self = await deps.describeSelf();
  const answer = await deps.controlPlane.register(self, presented, state.signal);
  // A machine that has a credential believes nobody who does not know it.
  if (answer.kind === 'refused' && judgeAnswer(answer) === 'clone' && presented === state.credential) {
    throw new ClonedMachineError(answer.detail);
  }
  if (answer.kind !== 'ok') {
    return refused(deps, state, answer);
  }
  const { nodeId, status, credential, offer } = answer.value;
  if (credential !== undefined) {
    await deps.credentials.save(credential);
    state.credential = credential;
  }
  Object.assign(state, { registered: true, hostKey: self.host_key });
  // A credential the server has just refused must not bring the two of us into a tight circle.
  const pauseSeconds = state.failures > 0 ? retrySeconds(answer, state.failures, { random: Math.random(), ...paceIn(deps, state) }) : 0;
  deps.onRegistered();
  deps.logger.info('registered', { nodeId, status });
  state.status = status;
  await apply(deps, offer);
  return { pauseSeconds };
}

async function callHome(deps: SessionDeps, state: State, credential: string): Promise<Step> {
  const body = { ...(await deps.describeState()), interval_seconds: deps.watchful ? state.keptSeconds : undefined };
  const answer = await deps.controlPlane.heartbeat(body, credential, { signal: state.signal, timeoutMs: paceIn(deps, state).timeoutMs });
  if (answer.kind !== 'ok') {
    return refused(deps, state, answer);
  }
  if (await wasForgotten(deps, state)) {
    return { end: 'left' };
  }
  const { status, heartbeatIntervalSeconds, offer } = answer.value;
  if (state.failures > 0 || state.status !== status) {
    deps.logger.info('control plane answered', { status, before: state.status, failures: state.failures });
  }
  Object.assign(state, { status, failures: 0, presentCredential: true, keptSeconds: heartbeatIntervalSeconds });
  await attempt(deps, 'remaining times could not be noted', () => deps.onHeartbeat(answer.value));
  await apply(deps, offer);
  return { pauseSeconds: heartbeatPauseSeconds(heartbeatIntervalSeconds, Math.random()) };
}

function refused(deps: SessionDeps, state: State, answer: Exclude<Answer<unknown>, { kind: 'ok' }>): Step {
  const verdict = judgeAnswer(answer);
  if (verdict === 'retired') {
    deps.logger.warn('this node was retired by an operator: the agent stops');
    return { end: 'retired' };
  }
  if (answer.kind === 'refused' && answer.status === 401) {
    const wasRegistered = state.registered;
    state.registered = false;
    state.presentCredential = !state.presentCredential;
    if (wasRegistered && state.failures === 0) {
      state.failures = 1;
      deps.logger.warn('the credential was refused: registering again', { detail: answer.detail });
      return { pauseSeconds: 0 };
    }
  }
  return retry(deps, state, answer);
}

function retry(deps: SessionDeps, state: State, answer: Exclude<Answer<unknown>, { kind: 'ok' }>): Step {
  if (state.signal.aborted) {
    return { end: 'stopped' };
  }
  state.failures += 1;
  const pauseSeconds = retrySeconds(answer, state.failures, { random: Math.random(), ...paceIn(deps, state) });
  const message =
    judgeAnswer(answer) === 'unauthenticated'
      ? 'the control plane does not admit this node: give it a fresh join token (ORION_JOIN_TOKEN) or approve it, then wait or restart the agent'
      : 'control plane out of reach or refusing, will be tried again';
  deps.logger.warn(message, { ...answer, failures: state.failures, pauseSeconds: Math.round(pauseSeconds * 10) / 10 });
  return { pauseSeconds };
}

const paceIn = ({ pace }: SessionDeps, { keptSeconds }: State): Pace => pace(keptSeconds ?? 0);

const apply = (deps: SessionDeps, offer: ControlOffer | undefined): Promise<void> =>
  attempt(deps, 'management account could not be brought up to date', () => deps.applyManagement(offer));

async function attempt({ logger }: SessionDeps, failure: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    logger.error(failure, { error });
  }
}
