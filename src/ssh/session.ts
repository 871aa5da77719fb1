import type { Duplex } from 'node:stream';
import { NodeSSH } from 'node-ssh';
import { inSpan, SpanKind } from '../lib/trace';
import { algorithmsFor, KEY_EXCHANGES } from '../lib/ssh-algorithms';
import { limitGreeting } from './backlog';
import type { Dial, SshTarget } from './dial';
import { answerIn, mark } from './marker';
import { signAtOnce } from './sign-at-once';

export interface SessionSettings {
  dial: Dial;
  username: string;
  privateKey: string;
}

/** The server showed another host key than the pinned one. So it is not the machine that enrolled. */
export class HostKeyChangedError extends Error {
  override name = 'HostKeyChangedError';
}

const MAX_OUTPUT_BYTES = 16_384;

/**
 * Logs in to a node, verifies its pinned host key, runs one command and returns its output. The output is limited to 16 KiB; more ends the
 * session. Throws NotAnsweredError when the machine ran something else. There is no deadline: the caller's `signal` cuts the connection,
 * whatever the peer does.
 */
export function runOnNode(settings: SessionSettings, target: SshTarget, job: { command: string; signal: AbortSignal }): Promise<string> {
  const about = { kind: SpanKind.CLIENT, attributes: { 'orion.node.id': target.nodeId } };
  return withSession(settings, { target, signal: job.signal }, (session, cut) =>
    inSpan('ssh command', () => execute(session, job.command, cut), about),
  );
}

export interface Login {
  target: SshTarget;
  /** The deadline. It cuts the connection, whatever the peer does. */
  signal: AbortSignal;
}

/** Logs in to a node, verifies its pinned host key, calls `work` with the session, and closes it. */
export async function withSession<T>(
  settings: SessionSettings,
  login: Login,
  work: (session: NodeSSH, cut: () => void) => Promise<T>,
): Promise<T> {
  const { session, stream } = await openSession(settings, login);
  const cut = (): void => void stream.destroy();
  login.signal.addEventListener('abort', cut, { once: true });
  try {
    if (login.signal.aborted) {
      cut();
    }
    return await work(session, cut);
  } finally {
    login.signal.removeEventListener('abort', cut);
    session.dispose();
    stream.destroy();
  }
}

export interface OpenSession {
  session: NodeSSH;
  /** The stream below the session. Destroying it ends the session, whatever the peer does. */
  stream: Duplex;
}

/** Logs in to a node before `signal` aborts, and verifies its pinned host key. The caller must end the session and its stream. */
export function openSession(settings: SessionSettings, login: Login): Promise<OpenSession> {
  const { nodeId, reach = 'direct' } = login.target;
  return inSpan('ssh login', () => connectAndLogIn(settings, login), {
    kind: SpanKind.CLIENT,
    attributes: { 'orion.node.id': nodeId, 'orion.reach': reach },
  });
}

async function connectAndLogIn(settings: SessionSettings, { target, signal }: Login): Promise<OpenSession> {
  const stream = await settings.dial(target, signal);
  const session = new NodeSSH();
  const cut = (): void => void stream.destroy();
  signal.addEventListener('abort', cut, { once: true });
  try {
    await logIn(session, stream, { settings, target });
    return { session, stream };
  } catch (error) {
    session.dispose();
    stream.destroy();
    throw error;
  } finally {
    signal.removeEventListener('abort', cut);
  }
}

async function logIn(
  session: NodeSSH,
  stream: Duplex,
  { settings, target }: { settings: SessionSettings; target: SshTarget },
): Promise<void> {
  const [type = '', blob = ''] = target.hostKey.split(' ');
  let changed = false as boolean;
  try {
    const connecting = session.connect({
      sock: stream,
      username: settings.username,
      privateKey: settings.privateKey,
      // ssh2 would try the method `none` first. sshd takes 5 ms to refuse it.
      authHandler: ['publickey'],
      // The caller's signal is the deadline.
      readyTimeout: 0,
      algorithms: { kex: [...KEY_EXCHANGES], serverHostKey: algorithmsFor(type) as never },
      hostVerifier: (key: Buffer) => {
        changed = key.toString('base64') !== blob;
        return !changed;
      },
    });
    // node-ssh listens for errors only while it waits itself. At any other moment, an error (a reset, our own cut) would end the process.
    session.connection?.on('error', () => undefined);
    if (session.connection) {
      limitGreeting(session.connection, stream);
      signAtOnce(session.connection);
    }
    await connecting;
  } catch (error) {
    throw changed ? new HostKeyChangedError(`node ${target.nodeId} showed another host key than the pinned one`, { cause: error }) : error;
  }
}

async function execute(session: NodeSSH, command: string, cut: () => void): Promise<string> {
  let received = 0;
  const count = (chunk: Buffer): void => {
    received += chunk.length;
    if (received > MAX_OUTPUT_BYTES) {
      // An orderly close is too slow: megabytes more would arrive until the peer receives it.
      cut();
    }
  };
  const marked = mark(command);
  const { code, stdout } = await session.execCommand(marked.command, { onStdout: count, onStderr: count });
  const answer = answerIn(`${stdout}\n`, marked);
  if (code !== 0) {
    throw new Error(`the command ended with ${code ?? 'no exit code'}`);
  }
  return answer;
}
