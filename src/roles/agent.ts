import { mkdir, readFile } from 'node:fs/promises';
import { createAccountRecords } from '../agent/account-records';
import { type AuditWitness, createAuditWitness } from '../agent/audit-witness';
import { openContact, type Contact } from '../agent/contact';
import { type ControlPlane, createControlPlane, type Post } from '../agent/control-plane';
import { createControlTrust, type ControlTrust } from '../agent/control-trust';
import { createCredentialStore, type CredentialStore } from '../agent/credential-store';
import { describeState } from '../agent/describe-state';
import { examineMachine, type Check, type ContactDeps } from '../agent/doctor';
import { endAccount } from '../agent/end-account';
import { readHostKey } from '../agent/facts';
import { createFence, type Fence } from '../agent/fence';
import { signAsHost } from '../agent/host-key';
import { holdAccount, releaseAccount } from '../agent/hold-account';
import { postJson } from '../agent/http';
import { createKeyExpiries } from '../agent/key-expiry';
import { createLedger, withLedger } from '../agent/ledger';
import { leaveFleet } from '../agent/leave';
import { createManagementAccount, type ManagementAccount } from '../agent/management-account';
import { createPasswdEditor } from '../agent/passwd-editor';
import { createNews } from '../agent/news';
import { createRest } from '../agent/rest';
import { createRegistrationMark } from '../agent/registration-mark';
import { ClonedMachineError, runSession, type SessionDeps, type SessionEnd } from '../agent/session';
import { createSelf } from '../agent/self';
import { keepTunnel } from '../agent/tunnel';
import { paceOf } from '../agent/decision';
import type { AgentConfig } from '../config/agent';
import type { Clock } from '../lib/clock';
import { messageOf } from '../lib/errors';
import type { Logger } from '../lib/logger';
import { createLoop, type Loop } from '../lib/loop';
import type { RunningRole } from './role';

export interface AgentDeps {
  logger: Logger;
  clock: Clock;
}

/** Maximum delay of suspending and ending accounts. */
const FENCE_INTERVAL_MS = 1000;

/** Starts the agent and returns at once. The agent runs until `stop`, or until this node is retired or leaves (`ended`). */
export async function startAgent(config: AgentConfig, { logger, clock }: AgentDeps): Promise<RunningRole> {
  const ca = await readCa(config);
  const trust = createTrust(config, logger);
  const controlPlane = withLedger(reachControlPlane(config, { ca, trust }), createLedger(config.stateDir, clock));
  const credentials = createCredentialStore(config.stateDir, logger);
  const management = createAccount(config, clock);
  const contact = await openContact(config.stateDir);
  const rest = createRest(clock);
  const news = createNews(clock);
  const self = createSelf(config, { clock, logger });
  const expiries = createKeyExpiries(config.stateDir, clock);
  const fence = createNodeFence(config, contact, { logger, clock, onNewAccount: () => rest.cut() });
  await makeStateDir(config, logger);

  const stopping = new AbortController();
  const witness = createWitness(config, { clock, logger, controlPlane, credentials, signal: stopping.signal });
  const registered = new AbortController();
  const fenceLoop = createFenceLoop(config, { clock, logger }, () => {
    if (self.hasMoved()) {
      rest.cut();
    }
    return fence.runOnce();
  });
  const deps: SessionDeps = {
    controlPlane,
    credentials,
    clock,
    logger,
    describeSelf: () => self.describe(),
    describeState: () => describeState(config.sshPort, { fence, expiries, news, self, trust, witness }),
    readHostKey: () => readHostKey(config.hostKeyFile),
    applyManagement: (offer) =>
      trust.newest(offer).then((newest) => (config.manageAccounts && newest ? management.ensure(newest) : undefined)),
    onRegistered: () => {
      self.registered();
      registered.abort();
    },
    onHeartbeat: async (answer) => {
      news.accepted();
      expiries.note(answer.accounts);
      self.answered(answer.selfAccepted);
      await (config.manageAccounts ? fence.noteContact(answer) : undefined);
      await witness.answered(answer.audit);
    },
    pace: (intervalSeconds) => paceOf(contact.limitSeconds(), intervalSeconds),
    rest,
    watchful: config.manageAccounts,
  };
  if (config.manageAccounts) {
    fenceLoop.start();
  }
  const options = {
    endpoint: config.endpoint,
    ca,
    proxy: config.proxy,
    sshd: config.localSsh,
    findCredential: () => credentials.find(),
    challenge: challengeFrom(controlPlane),
    clock,
    logger,
  };
  // Waits for the registration, because a copy of another machine must not open a second tunnel with its credential.
  const tunnel = config.tunnel
    ? untilAborted([registered.signal, stopping.signal]).then(() => keepTunnel(options, stopping.signal))
    : Promise.resolve();
  const session = config.manageAccounts
    ? leaveInOrder(runSession(deps, stopping.signal), { fence, management })
    : runSession(deps, stopping.signal);
  const stop = async (): Promise<void> => {
    stopping.abort();
    await fenceLoop.stop();
    await tunnel;
    await session.catch(() => undefined);
  };
  return { stop, ended: over(session), failed: failureOf(session) };
}

const makeStateDir = ({ stateDir }: AgentConfig, logger: Logger): Promise<unknown> =>
  mkdir(stateDir, { recursive: true, mode: 0o755 }).catch((error: unknown) =>
    logger.error('the state directory could not be made: the agent works without it as far as it can', {
      stateDir,
      reason: messageOf(error),
    }),
  );

const createFenceLoop = ({ fenceGraceSeconds }: AgentConfig, { clock, logger }: AgentDeps, look: () => Promise<void>): Loop =>
  createLoop({
    name: 'fence',
    intervalMs: Math.min(FENCE_INTERVAL_MS, Math.max(200, fenceGraceSeconds * 250)),
    clock,
    logger,
    pass: () => look().then(() => 'done' as const),
  });

/** Cleans up the machine's accounts when the agent will not run again. */
async function leaveInOrder(
  session: Promise<SessionEnd>,
  { fence, management }: { fence: Fence; management: ManagementAccount },
): Promise<SessionEnd> {
  try {
    const end = await session;
    if (end !== 'stopped') {
      await management.remove();
    }
    return end;
  } catch (error) {
    if (error instanceof ClonedMachineError) {
      // On a cloned machine, all copied accounts are suspended, because no tenant uses them there.
      await fence.holdAll();
    }
    throw error;
  }
}

/** Takes this machine out of the fleet. See leaveFleet for the meaning of the result. */
export async function leaveAsAgent(config: AgentConfig, deps: AgentDeps, signal: AbortSignal): Promise<boolean> {
  const management = createAccount(config, deps.clock);
  return leaveFleet(
    {
      ...deps,
      controlPlane: reachControlPlane(config, { ca: await readCa(config), trust: createTrust(config, deps.logger) }),
      credentials: createCredentialStore(config.stateDir, deps.logger),
      removeAccount: () => (config.manageAccounts ? management.remove() : Promise.resolve()),
    },
    signal,
  );
}

/** Examines the machine. Settings that cannot be read are `faults`; the machine itself is examined all the same. */
export function examineAsAgent(config: AgentConfig | { faults: string[] }, { logger, clock }: AgentDeps): Promise<Check[]> {
  if ('faults' in config) {
    return examineMachine({
      sshPort: 22,
      stateDir: '/var/lib/orion',
      hostKeyFile: '/etc/ssh/ssh_host_ed25519_key.pub',
      faults: config.faults,
      hostname: undefined,
      contact: undefined,
    });
  }
  const { endpoint, hostname, stateDir, hostKeyFile, localSsh } = config;
  const contact: ContactDeps = {
    endpoint,
    post: async (call) => postTo(config, await readCa(config))(call),
    trust: () => createTrust(config, logger).demand(),
    now: () => clock.now(),
  };
  return examineMachine({ sshPort: localSsh.port, stateDir, hostKeyFile, faults: [], hostname, contact });
}

interface WitnessDeps extends AgentDeps {
  controlPlane: ControlPlane;
  credentials: CredentialStore;
  signal: AbortSignal;
}

const createWitness = (
  { stateDir, auditHeadSeconds: intervalSeconds }: AgentConfig,
  { clock, logger, controlPlane, credentials, signal }: WitnessDeps,
): AuditWitness =>
  createAuditWitness({
    stateDir,
    intervalSeconds,
    clock,
    logger,
    prove: async (sizes) => {
      const credential = await credentials.find();
      return credential === undefined
        ? { kind: 'failed', reason: 'there is no credential' }
        : controlPlane.proveAudit(sizes, credential, signal);
    },
  });

const createTrust = ({ stateDir, controlFingerprint: configured, endpoint }: AgentConfig, logger: Logger): ControlTrust =>
  createControlTrust({ stateDir, configured, secure: endpoint.startsWith('https:'), logger });

const MAX_ANSWER_BYTES = 256 * 1024;

const postTo =
  ({ endpoint, proxy }: AgentConfig, ca: string | undefined): Post =>
  ({ path, ...call }) =>
    postJson(`${endpoint}${path}`, { ...call, ca, proxy, maxBytes: MAX_ANSWER_BYTES });

function reachControlPlane(config: AgentConfig, { ca, trust }: { ca: string | undefined; trust: ControlTrust }): ControlPlane {
  return createControlPlane({
    post: postTo(config, ca),
    trust,
    signAsHost: (message) => signAsHost(config.hostKeyFile, message),
    joinToken: config.joinToken,
    mark: createRegistrationMark(),
  });
}

const challengeFrom =
  (controlPlane: ControlPlane) =>
  async (signal: AbortSignal): Promise<string> => {
    const answer = await controlPlane.challenge(signal);
    if (answer.kind !== 'ok') {
      throw new Error(answer.kind === 'failed' ? answer.reason : `the control plane answered ${answer.status}`);
    }
    return answer.value;
  };

const readCa = async ({ caFile }: AgentConfig): Promise<string | undefined> =>
  caFile === undefined ? undefined : readFile(caFile, 'utf8');

function createAccount(config: AgentConfig, clock: Clock): ManagementAccount {
  return createManagementAccount(config.stateDir, createPasswdEditor(clock));
}

function createNodeFence(
  config: AgentConfig,
  contact: Contact,
  { logger, clock, onNewAccount }: AgentDeps & { onNewAccount: () => void },
): Fence {
  const records = createAccountRecords(config.stateDir);
  const deps = { stateDir: config.stateDir, records, editor: createPasswdEditor(clock), clock, logger };
  return createFence({
    records,
    contact,
    acts: {
      hold: (record) => holdAccount(record, deps),
      release: (record) => releaseAccount(record, deps),
      end: (record) => endAccount(record, deps),
    },
    clock,
    logger,
    graceSeconds: config.fenceGraceSeconds,
    onNewAccount,
  });
}

const untilAborted = (signals: AbortSignal[]): Promise<void> =>
  new Promise((resolve) => signals.forEach((signal) => signal.addEventListener('abort', () => resolve(), { once: true })));

/** Resolves when the session ends by itself. Otherwise it never resolves. */
function over(session: Promise<string>): Promise<void> {
  return new Promise((resolve) => {
    session.then(
      (end) => (end === 'stopped' ? undefined : resolve()),
      () => undefined,
    );
  });
}

function failureOf(session: Promise<string>): Promise<Error> {
  return new Promise((resolve) => {
    session.catch((error: unknown) => resolve(error instanceof Error ? error : new Error(String(error))));
  });
}
