import type { Clock } from '../lib/clock';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { Answer } from './answer';
import type { ControlPlane } from './control-plane';
import type { CredentialStore } from './credential-store';
import type { Rest } from './rest';
import { heartbeatPauseSeconds, judgeAnswer, type Pace, retrySeconds } from './decision';
import type { ControlOffer, HeartbeatAnswer, HeartbeatBody, RegisterBody } from './wire';

/** Why a session ended: the agent was stopped, an operator retired the node, or somebody ran `orion-agent leave` beside the agent. */
export type SessionEnd = 'stopped' | 'retired' | 'left';

/** The control plane answered that this machine is a copy of another machine that is in use. The message contains the remedy. */
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
  /** Reads the machine's current public host key. */
  readHostKey: () => Promise<string>;
  /** Installs the management keys that the control plane signed. The session logs a failure and goes on. */
  applyManagement: (offer: ControlOffer | undefined) => Promise<void>;
  /** Called after each accepted registration: this machine is then the node that its credential belongs to. */
  onRegistered: () => void;
  onHeartbeat: (answer: HeartbeatAnswer) => Promise<void>;
  /** Called before each request, with the heartbeat interval of the last answer. */
  pace: (intervalSeconds: number) => Pace;
  rest: Rest;
  /**
   * The agent notices new accounts and ends the pause for them. The control plane may then prescribe a longer interval than new accounts
   * may wait.
   */
  watchful: boolean;
}

interface State {
  credential: string | undefined;
  registered: boolean;
  /** The host key of the last registration. When the machine has another key, it registers again to prove it. */
  hostKey: string;
  /**
   * Flips with each 401. A registration with a credential contains no proof of the join token, so a refused credential would hide a good
   * token. The credential may also become valid again later.
   */
  presentCredential: boolean;
  status: string;
  failures: number;
  /** The interval of the last answer; undefined when an account came after that answer. */
  keptSeconds: number | undefined;
  signal: AbortSignal;
}

type Step = { end: SessionEnd } | { pauseSeconds: number };

/**
 * Registers, then sends heartbeats until `signal` aborts or the membership ends. Sends one request at a time, and retries for ever. Rejects
 * only with ClonedMachineError.
 */
export async function runSession(deps: SessionDeps, signal: AbortSignal): Promise<SessionEnd> {
  const state: State = {
    credential: await deps.credentials.find(),
    registered: false,
    hostKey: '',
    presentCredential: true,
    status: '',
    failures: 0,
    keptSeconds: undefined,
    signal,
  };
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
    return state.registered && state.credential !== undefined ? await callHome(deps, state, state.credential) : await register(deps, state);
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
  // A machine that has a credential believes this answer only if it is authenticated with that credential.
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
  // Pause after a failure. Without it, a server that accepts the registration and then refuses the credential would cause a loop without
  // pauses.
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
  const decision = judgeAnswer(answer);
  if (decision === 'retired') {
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
