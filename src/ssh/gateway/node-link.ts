import type { Duplex } from 'node:stream';
import ssh2, { type Client } from 'ssh2';
import { type Clock, withDeadline } from '../../lib/clock';
import { cutWhenOwed, limitGreeting } from '../backlog';
import type { Dial } from '../dial';
import { algorithmsFor } from '../session';
import type { LeaseDirectory, Visitor, Whereabouts } from './types';

type Present = Extract<Whereabouts, { state: 'present' }>;

export interface NodeConnection {
  client: Client;
  /** What the connection goes over. */
  stream: Duplex;
  at: Present;
  /** Resolves when the connection is gone, for whatever reason. */
  lost: Promise<void>;
}

/** The way from one visit to wherever its lease is. */
export interface NodeLink {
  /** What was told last. */
  whereabouts(): Whereabouts;
  /** The connection to the present placement, made if need be. Waits while the lease is under way; null: the lease or the visit is over. */
  connect(): Promise<NodeConnection | null>;
  /** Called at each news of the lease. Returns how to stop that. */
  onNews(listener: (at: Whereabouts) => void): () => void;
  close(): void;
}

export interface NodeLinkDeps {
  visitor: Visitor;
  directory: LeaseDirectory;
  dial: Dial;
  privateKey: string;
  clock: Clock;
}

const CONNECT_MS = 10_000;
const RETRY_MS = 500;
/** A machine that is gone without a word is noticed after about six seconds. */
const KEEPALIVE_MS = 2_000;
const KEEPALIVE_MISSES = 2;

export function createNodeLink(deps: NodeLinkDeps): NodeLink {
  const { directory, clock } = deps;
  const over = new AbortController();
  const listeners = new Set<(at: Whereabouts) => void>();
  let at: Whereabouts = { state: 'waiting', place: null, endsInSeconds: Infinity };
  let current: NodeConnection | undefined;
  let making: Promise<NodeConnection | null> | undefined;
  /** Between two attempts: until the next news, or for a while. */
  let pause = new AbortController();

  const unwatch = directory.watch(deps.visitor, (news) => {
    at = news;
    pause.abort();
    if (current && !isStillAt(current.at, news)) {
      current.client.destroy();
    }
    for (const listener of listeners) {
      listener(news);
    }
  });

  // Not when the client went: each of its connections would otherwise cost the control plane a login to the node.
  const suspect = (place: Present): void => (!over.signal.aborted && isStillAt(place, at) ? directory.suspect(place.target.nodeId) : undefined);

  const make = async (): Promise<NodeConnection | null> => {
    while (!over.signal.aborted && at.state !== 'over') {
      const place = at;
      if (place.state === 'present') {
        const made = await withDeadline(CONNECT_MS, (signal) => logIn(deps, place, signal), over.signal).catch(() => undefined);
        if (made) {
          current = made;
          void made.lost.then(() => suspect(place)).then(() => (current = current === made ? undefined : current));
          return made;
        }
        suspect(place);
      }
      pause = new AbortController();
      await clock.sleep(RETRY_MS, pause.signal);
    }
    return null;
  };

  return {
    whereabouts: () => at,
    connect: async () => {
      if (current) {
        return current;
      }
      making ??= make().finally(() => (making = undefined));
      return making;
    },
    onNews: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close: () => {
      over.abort();
      pause.abort();
      unwatch();
      current?.client.destroy();
    },
  };
}

const isStillAt = ({ generation }: Present, at: Whereabouts): boolean => at.state === 'present' && at.generation === generation;

/** Rejects when the machine cannot be logged in to; one that shows another host key is none of ours. */
async function logIn({ dial, privateKey }: NodeLinkDeps, at: Present, signal: AbortSignal): Promise<NodeConnection> {
  const connecting = new AbortController();
  const cut = (): void => connecting.abort();
  signal.addEventListener('abort', cut, { once: true });
  const stream = await dial(at.target, connecting.signal);
  const client = new ssh2.Client();
  const [type = '', blob = ''] = at.target.hostKey.split(' ');
  const lost = new Promise<void>((resolve) => {
    client.once('close', () => {
      stream.destroy();
      resolve();
    });
  });
  // Always: an error that nobody listens to would end the process.
  client.on('error', () => client.destroy());
  stream.on('error', () => client.destroy());
  stream.once('close', () => client.destroy());
  await new Promise<void>((resolve, reject) => {
    client.once('ready', () => resolve());
    void lost.then(() => reject(new Error('the machine closed the connection')));
    client.connect({
      sock: stream,
      username: at.username,
      privateKey,
      readyTimeout: CONNECT_MS,
      keepaliveInterval: KEEPALIVE_MS,
      keepaliveCountMax: KEEPALIVE_MISSES,
      algorithms: { serverHostKey: algorithmsFor(type) as never },
      hostVerifier: (key: Buffer) => key.toString('base64') === blob,
    });
    limitGreeting(client, stream);
    cutWhenOwed(stream);
  });
  signal.removeEventListener('abort', cut);
  return { client, stream, at, lost };
}
