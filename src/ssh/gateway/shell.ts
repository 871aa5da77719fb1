import type { Socket } from 'node:net';
import type { ClientChannel, ServerChannel, TerminalModes } from 'ssh2';
import type { Clock } from '../../lib/clock';
import type { NodeLink } from './node-link';
import type { NodeConnection } from './node-login';
import { connectChannels, endChannel, type Ending, openChannel } from './relay';
import { EXIT_LEASE_OVER, EXIT_LOGIN_REFUSED, EXIT_NODE_LOST, reasonOfEnd, type Whereabouts } from './types';

/**
 * The terminal that a client requests. `modes` are bytes, whatever their type is: the machine knows modes that the SSH library does not
 * know.
 */
export interface Terminal {
  pty: { term: string; cols: number; rows: number; width: number; height: number; modes: TerminalModes } | undefined;
  env: Record<string, string>;
}

export interface ShellDeps {
  /** The socket of the client's connection. */
  socket: Socket;
  leaseId: number;
  link: NodeLink;
  clock: Clock;
  warnSeconds: number[];
  /** Receives the channel to which window changes and signals go. */
  onNode: (channel: ClientChannel | undefined) => void;
}

const STATUS_EVERY_MS = 30_000;
/** A machine that works should have admitted the gateway by then. */
const PATIENCE_MS = 5_000;
/**
 * Leaves the alternate screen, turns the mouse off, the cursor on and colours off. A full-screen program would have done this at its end.
 */
const CALM_TERMINAL = '\x1b[?1049l\x1b[?1000;1002;1003;1006;2004l\x1b[?25h\x1b[0m';
/** Exit status of a shell that Ctrl-C ended. */
const EXIT_INTERRUPTED = 128 + 2;
const CTRL_C = 3;
const CTRL_D = 4;

/**
 * Runs one interactive shell that outlives its machine. When the machine is lost, the client's channel stays open and receives messages.
 * The client gets a new shell with the same terminal on the lease's next machine. Ends when a shell ends by itself, the client disconnects,
 * or the lease ends.
 */
export async function runShell(channel: ServerChannel, terminal: Terminal, deps: ShellDeps): Promise<void> {
  const say = (text: string): void => void channel.stderr.write(`\r\n[orion] ${text}\r\n`);
  const gone = new Promise<'gone'>((resolve) => channel.once('close', () => resolve('gone')));
  const stopWarning = warnBeforeTheEnd(deps, say);
  try {
    let before: number | undefined;
    for (let first = true; ; first = false) {
      const connection = await waitWithNews(channel, { ...deps, say, silent: first, gone });
      if (connection === null || typeof connection === 'string') {
        takeLeave(channel, connection, () => say(reasonOfEnd(deps.leaseId, deps.link.whereabouts())));
        return;
      }
      if ('refused' in connection) {
        say(connection.refused);
        endChannel(channel, { code: EXIT_LOGIN_REFUSED });
        return;
      }
      const { generation, nodeName } = connection.at;
      if (!first) {
        say(`you are on ${nodeName} now${generation === before ? '' : describeHome(connection.at)}`);
      }
      before = generation;
      const ending = await oneShell(channel, terminal, { connection, socket: deps.socket, onNode: deps.onNode, gone });
      if (ending !== 'lost') {
        finish(channel, ending, () => say(`${nodeName} does not open a shell`));
        return;
      }
      if (deps.link.whereabouts().state !== 'over') {
        channel.stderr.write(terminal.pty ? CALM_TERMINAL : '');
        say(`the connection to ${nodeName} is lost. Your lease goes on: please wait, or leave with Ctrl-C`);
      }
    }
  } finally {
    stopWarning();
  }
}

/** Ends the channel without a machine: the lease is over (null), or the client stopped waiting or disconnected. */
function takeLeave(channel: ServerChannel, why: null | 'left' | 'gone', sayOver: () => void): void {
  if (why === 'left') {
    endChannel(channel, { code: EXIT_INTERRUPTED });
  } else if (why === null) {
    sayOver();
    endChannel(channel, { code: EXIT_LEASE_OVER });
  }
}

function finish(channel: ServerChannel, ending: Exclude<ShellEnding, 'lost'>, sayRefused: () => void): void {
  if (ending === 'refused') {
    sayRefused();
    endChannel(channel, { code: EXIT_NODE_LOST });
  } else if (ending !== 'gone') {
    endChannel(channel, ending);
  }
}

interface Waiting extends ShellDeps {
  say: (text: string) => void;
  /** True: write nothing while there is nothing to wait for. */
  silent: boolean;
  gone: Promise<'gone'>;
}

type Connected = Awaited<ReturnType<NodeLink['connect']>>;

/** Waits for the lease's machine and writes the progress to the client. `left`: the client stopped waiting. */
async function waitWithNews(channel: ServerChannel, waiting: Waiting): Promise<Connected | 'gone' | 'left'> {
  const { clock, link, gone, say, silent } = waiting;
  const begunAt = clock.monotonicMs();
  const keys = watchKeys(channel);
  let told = '';
  let toldAt = begunAt;
  const tell = (at: Whereabouts): void => {
    const now = clock.monotonicMs();
    const what = describe(at, now - begunAt);
    if (what !== undefined && (what !== told || now - toldAt > STATUS_EVERY_MS)) {
      told = what;
      toldAt = now;
      say(`${what}; ${timeLeft(at)}`);
      // From now on, keys are for the gateway. Earlier input is for the coming shell.
      keys.watch();
    }
  };
  const stop = link.onNews(tell);
  if (!silent) {
    keys.watch();
    tell(link.whereabouts());
  }
  try {
    return await Promise.race([link.connect(), keys.left, gone]);
  } finally {
    stop();
    keys.stop();
  }
}

/** Detects Ctrl-C, Ctrl-D or the end of the input: the client stops waiting. */
function watchKeys(channel: ServerChannel): { left: Promise<'left'>; watch: () => void; stop: () => void } {
  let leave: () => void = () => undefined;
  const left = new Promise<'left'>((resolve) => {
    leave = () => resolve('left');
  });
  const look = (typed: Buffer): void => {
    if (typed.includes(CTRL_C) || typed.includes(CTRL_D)) {
      leave();
    }
  };
  return {
    left,
    watch: () => {
      if (!channel.listeners('data').includes(look)) {
        channel.on('data', look);
        channel.once('end', leave);
        channel.resume();
      }
    },
    stop: () => {
      channel.off('data', look);
      channel.off('end', leave);
      channel.pause();
    },
  };
}

/** Returns the message for a client that waits for a shell. Undefined: no message. */
export function describe(at: Whereabouts, waitedMs: number): string | undefined {
  switch (at.state) {
    case 'present':
      return waitedMs > PATIENCE_MS ? `${at.nodeName} does not answer yet` : undefined;
    case 'waiting':
      return at.place === null ? 'waiting for a machine to be ready' : `no machine is free: you are number ${at.place} in the order`;
    case 'over':
      return undefined;
  }
}

function timeLeft(at: Whereabouts): string {
  return at.state !== 'over' && Number.isFinite(at.endsInSeconds) ? `the lease ends in ${duration(at.endsInSeconds)}` : 'one moment';
}

function describeHome({ homeAgeSeconds }: Extract<Whereabouts, { state: 'present' }>): string {
  return homeAgeSeconds === null ? '; nothing was saved of your files' : `; your files are as they were ${duration(homeAgeSeconds)} ago`;
}

/** Formats seconds for people. */
export function duration(seconds: number): string {
  const minutes = Math.round(seconds / 60);
  return minutes < 1 ? `${Math.max(0, Math.round(seconds))} s` : minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}

/** `gone`: the client disconnected; `refused`: the machine opens no shell. */
type ShellEnding = Ending | 'gone' | 'refused';

interface Shell {
  connection: NodeConnection;
  socket: Socket;
  onNode: ShellDeps['onNode'];
  gone: Promise<'gone'>;
}

async function oneShell(channel: ServerChannel, { pty, env }: Terminal, { connection, socket, onNode, gone }: Shell): Promise<ShellEnding> {
  const opened = await openChannel(connection, (to, done) => to.shell(pty ?? false, { env }, done));
  if (typeof opened === 'string') {
    return opened;
  }
  onNode(opened.channel);
  connectChannels({ channel, stream: socket }, { channel: opened.channel, stream: connection.stream });
  const ending = await Promise.race([opened.ended, gone]);
  onNode(undefined);
  channel.unpipe(opened.channel);
  if (ending === 'gone') {
    opened.channel.close();
  }
  return ending;
}

function warnBeforeTheEnd({ link, leaseId, warnSeconds }: ShellDeps, say: (text: string) => void): () => void {
  let before = Infinity;
  return link.onNews((at) => {
    if (at.state === 'over') {
      return;
    }
    const due = warnSeconds.some((seconds) => at.endsInSeconds <= seconds && before > seconds && Number.isFinite(before));
    before = at.endsInSeconds;
    if (due) {
      say(`lease ${leaseId} ends in ${duration(at.endsInSeconds)}. To keep it: orion extend ${leaseId}`);
    }
  });
}
