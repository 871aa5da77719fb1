import type { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { NodeSSH } from 'node-ssh';
import type { Client, ClientChannel } from 'ssh2';
import { endOf } from './command';
import { answerOnly, mark, type Marked, NotAnsweredError } from './marker';
import { type Login, type SessionSettings, withSession } from './session';

interface StreamJob {
  command: string;
  /** Input of the command. Default: none. */
  input?: Readable;
  /** Receives the output of the command, with backpressure. Without it, the output is discarded. */
  output?: Writable;
}

export interface StreamEnd {
  /** Null: it was killed. */
  code: number | null;
  /** The beginning of stderr. */
  complaint: string;
}

/**
 * Runs one command of a session. Rejects when `output` failed or the session broke before the command ended. With an `output`, rejects with
 * NotAnsweredError when the machine ran something else.
 */
export type StreamOnNode = (job: StreamJob) => Promise<StreamEnd>;

const MAX_COMPLAINT = 1_000;

/**
 * Logs in to a node, as runOnNode does, for commands whose input or output does not fit in memory. `work` runs them one after the other.
 */
export function streamOnNode<T>(settings: SessionSettings, login: Login, work: (run: StreamOnNode) => Promise<T>): Promise<T> {
  return withSession(settings, login, (session) => work((job) => runStream(session, job)));
}

function runStream({ connection }: NodeSSH, job: StreamJob): Promise<StreamEnd> {
  return new Promise((resolve, reject) => {
    if (!connection) {
      reject(new Error('not connected'));
      return;
    }
    const marked = mark(job.command);
    connection.exec(marked.command, (error, channel) => {
      if (error) {
        reject(error);
      } else {
        // Listen at once: a command that ends immediately emits its events only now.
        relay(connection, channel, { ...job, marked }).then(resolve, reject);
      }
    });
  });
}

async function relay(
  client: Client,
  channel: ClientChannel,
  { input, output, marked }: StreamJob & { marked: Marked },
): Promise<StreamEnd> {
  let complaint = '';
  channel.on('error', () => undefined);
  channel.stderr.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString()).slice(0, MAX_COMPLAINT)));
  const [ended, sent, received] = await Promise.allSettled([
    endOf(client, channel),
    send(channel, input),
    receive(channel, marked, output),
  ]);
  // If the session broke before the answer began, the break is the error, and not NotAnsweredError.
  if (received.status === 'rejected' && !(ended.status === 'rejected' && received.reason instanceof NotAnsweredError)) {
    throw received.reason;
  }
  // A command that ends before it has read all its input explains that by its exit code.
  if (ended.status === 'rejected') {
    throw sent.status === 'rejected' ? sent.reason : ended.reason;
  }
  return { code: ended.value, complaint };
}

async function send(channel: ClientChannel, input: Readable | undefined): Promise<void> {
  if (input) {
    await pipeline(input, channel);
  } else {
    channel.end();
  }
}

async function receive(channel: ClientChannel, marked: Marked, output: Writable | undefined): Promise<void> {
  if (output) {
    await pipeline(channel, answerOnly(marked), output);
  } else {
    channel.resume();
  }
}
