import type { Duplex } from 'node:stream';
import { NodeSSH } from 'node-ssh';
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

/** The server showed another key than the pinned one: it is not the machine that enrolled. */
export class HostKeyChangedError extends Error {
  override name = 'HostKeyChangedError';
}

const MAX_OUTPUT_BYTES = 16_384;

/**
 * Logs in to a node, verifying its pinned host key, runs one command and returns what it printed (at most 16 KiB: more ends the session). Throws
 * NotAnsweredError when the machine ran something else.
 * There is no deadline of its own: the caller's `signal` cuts the connection whatever the other side does.
 */
export function runOnNode(settings: SessionSettings, target: SshTarget, job: { command: string; signal: AbortSignal }): Promise<string> {
  return withSession(settings, { target, signal: job.signal }, (session, cut) => execute(session, job.command, cut));
}

export interface Login {
  target: SshTarget;
  /** The deadline: it cuts the connection whatever the other side does. */
  signal: AbortSignal;
}

/** Logs in to a node, verifying its pinned host key, lets `work` use the session, and closes it. */
export async function withSession<T>(settings: SessionSettings, login: Login, work: (session: NodeSSH, cut: () => void) => Promise<T>): Promise<T> {
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
  /** What carries it: destroyed, the session is over whatever the other side does. */
  stream: Duplex;
}

/** Logs in to a node, verifying its pinned host key, before `signal` aborts. The caller ends the session and its stream. */
export async function openSession(settings: SessionSettings, { target, signal }: Login): Promise<OpenSession> {
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

async function logIn(session: NodeSSH, stream: Duplex, { settings, target }: { settings: SessionSettings; target: SshTarget }): Promise<void> {
  const [type = '', blob = ''] = target.hostKey.split(' ');
  let changed = false as boolean;
  try {
    const connecting = session.connect({
      sock: stream,
      username: settings.username,
      privateKey: settings.privateKey,
      // Not first without any, as ssh2 does: to be told that this will not do takes sshd 5 ms.
      authHandler: ['publickey'],
      // The caller's signal is the deadline.
      readyTimeout: 0,
      algorithms: { kex: [...KEY_EXCHANGES], serverHostKey: algorithmsFor(type) as never },
      hostVerifier: (key: Buffer) => {
        changed = key.toString('base64') !== blob;
        return !changed;
      },
    });
    // node-ssh listens only while it waits for something itself: an error at any other moment (a reset, our own cut) would end the process.
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
      // Not in order: until the other side has heard of it, megabytes more would come in.
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
