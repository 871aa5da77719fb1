import { type Clock, withDeadline } from '../../lib/clock';
import type { Dial } from '../dial';
import { CONNECT_MS, LoginRefusedError, logInToNode, type NodeConnection, type Present } from './node-login';
import type { LeaseDirectory, Visitor, Whereabouts } from './types';

/** The machine does not admit the lease's account: what the user is told. */
interface Refusal {
  refused: string;
}

/** The way from one visit to wherever its lease is. */
export interface NodeLink {
  /** What was told last. */
  whereabouts(): Whereabouts;
  /**
   * The connection to the present placement, made if need be. Waits while the lease is under way or its machine is away, but not for a machine that
   * refuses the login again and again. Null: the lease or the visit is over.
   */
  connect(): Promise<NodeConnection | Refusal | null>;
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

const RETRY_MS = 500;
/** A refusal may pass: an account is being made or released. Seldom, because machines ban addresses from which logins fail (fail2ban: at the fifth). */
const RETRY_REFUSED_MS = 2_500;
const MAX_REFUSALS = 3;

export function createNodeLink(deps: NodeLinkDeps): NodeLink {
  const { directory, clock } = deps;
  const over = new AbortController();
  const listeners = new Set<(at: Whereabouts) => void>();
  let at: Whereabouts = { state: 'waiting', place: null, endsInSeconds: Infinity };
  let current: NodeConnection | undefined;
  let making: Promise<NodeConnection | Refusal | null> | undefined;
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

  const attempt = async (place: Present): Promise<NodeConnection | LoginRefusedError | undefined> => {
    try {
      const made = await withDeadline(CONNECT_MS, (signal) => logInToNode(deps, place, signal), over.signal);
      current = made;
      void made.lost.then(() => suspect(place)).then(() => (current = current === made ? undefined : current));
      return made;
    } catch (error) {
      suspect(place);
      return error instanceof LoginRefusedError ? error : undefined;
    }
  };

  const rest = async (ms: number): Promise<void> => {
    pause = new AbortController();
    await clock.sleep(ms, pause.signal);
  };

  return {
    whereabouts: () => at,
    connect: async () => {
      if (current) {
        return current;
      }
      making ??= search({ at: () => at, over: over.signal, attempt, rest, clock }).finally(() => (making = undefined));
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

interface Search {
  at: () => Whereabouts;
  over: AbortSignal;
  attempt: (place: Present) => Promise<NodeConnection | LoginRefusedError | undefined>;
  /** Until the next news, for `ms` at most. */
  rest: (ms: number) => Promise<void>;
  clock: Clock;
}

async function search(how: Search): Promise<NodeConnection | Refusal | null> {
  const { at, over, attempt, rest } = how;
  let refusals = 0;
  for (let place = at(); !over.aborted && place.state !== 'over'; place = at()) {
    const made = place.state === 'present' ? await attempt(place) : undefined;
    if (!(made instanceof LoginRefusedError)) {
      if (made) {
        return made;
      }
      refusals = 0;
      await rest(RETRY_MS);
    } else if (++refusals === MAX_REFUSALS) {
      return { refused: made.message };
    } else if (!(await restAt(place, how))) {
      // Another machine may admit the account that this one refuses.
      refusals = 0;
    }
  }
  return null;
}

/** Until a refused login is to be tried again: each passing second is news of a lease, and no reason to. Resolves false when the lease has moved meanwhile. */
async function restAt(place: Whereabouts, { at, over, rest, clock }: Search): Promise<boolean> {
  const until = clock.monotonicMs() + RETRY_REFUSED_MS;
  const isStill = (): boolean => place.state === 'present' && isStillAt(place, at());
  while (!over.aborted && isStill() && clock.monotonicMs() < until) {
    await rest(until - clock.monotonicMs());
  }
  return isStill();
}

const isStillAt = ({ generation }: Present, at: Whereabouts): boolean => at.state === 'present' && at.generation === generation;
