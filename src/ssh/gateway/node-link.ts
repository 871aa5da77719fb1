import { AsyncResource } from 'node:async_hooks';
import { type Clock, withDeadline } from '../../lib/clock';
import { inSpan, SpanKind } from '../../lib/trace';
import type { Dial } from '../dial';
import { CONNECT_MS, LoginRefusedError, logInToNode, type NodeConnection, type Present } from './node-login';
import type { LeaseDirectory, GatewayClient, Whereabouts } from './types';

/** The machine does not admit the lease's account. The text is for the user. */
interface Refusal {
  refused: string;
}

/** The link from one gateway session to the current node of its lease. */
export interface NodeLink {
  /** Returns the last known place of the lease. */
  whereabouts(): Whereabouts;
  /**
   * Returns the connection to the present placement, and opens it if there is none. It waits while the lease moves or its machine does not
   * answer, but not for a machine that refuses the login again and again. Null: the lease or the session is over.
   */
  connect(): Promise<NodeConnection | Refusal | null>;
  /** Calls `listener` at each change of the lease. Returns a function that removes the listener. */
  onNews(listener: (at: Whereabouts) => void): () => void;
  close(): void;
}

export interface NodeLinkDeps {
  gatewayClient: GatewayClient;
  directory: LeaseDirectory;
  dial: Dial;
  privateKey: string;
  clock: Clock;
}

const RETRY_MS = 500;
/**
 * Pause after a refused login. A refusal can pass, because an account is created or released. The pause is long, because machines ban
 * addresses with failed logins (fail2ban: at the fifth).
 */
const RETRY_REFUSED_MS = 2_500;
const MAX_REFUSALS = 3;

const about = ({ target: { nodeId } }: Present): { kind: SpanKind; attributes: Record<string, number> } => ({
  kind: SpanKind.CLIENT,
  attributes: { 'orion.node.id': nodeId },
});

export function createNodeLink(deps: NodeLinkDeps): NodeLink {
  const { directory, clock } = deps;
  const over = new AbortController();
  const listeners = new Set<(at: Whereabouts) => void>();
  let at: Whereabouts = { state: 'waiting', place: null, endsInSeconds: Infinity };
  let current: NodeConnection | undefined;
  let making: Promise<NodeConnection | Refusal | null> | undefined;
  /** Ends the pause between two attempts when the lease changes. */
  let pause = new AbortController();

  const unwatch = directory.watch(deps.gatewayClient, (news) => {
    at = news;
    pause.abort();
    if (current && !isStillAt(current.at, news)) {
      current.client.destroy();
    }
    for (const listener of listeners) {
      listener(news);
    }
  });

  // A node is not suspect when the client disconnected. Otherwise each client connection would cost the control plane a login to the node.
  const suspect = (place: Present): void =>
    !over.signal.aborted && isStillAt(place, at) ? directory.suspect(place.target.nodeId) : undefined;

  // Requests of the client start it, outside of the trace of the session.
  const attempt = AsyncResource.bind(async (place: Present): Promise<NodeConnection | LoginRefusedError | undefined> => {
    try {
      const made = await inSpan(
        'ssh login',
        () => withDeadline(CONNECT_MS, (signal) => logInToNode(deps, place, signal), over.signal),
        about(place),
      );
      current = made;
      void made.lost.then(() => suspect(place)).then(() => (current = current === made ? undefined : current));
      return made;
    } catch (error) {
      suspect(place);
      return error instanceof LoginRefusedError ? error : undefined;
    }
  });

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
  /** Waits until the next change of the lease, for `ms` at most. */
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
      // Another machine may admit the account that this machine refuses.
      refusals = 0;
    }
  }
  return null;
}

/**
 * Waits until a refused login may be repeated. The lease reports each passing second, which is no reason to try. Resolves false when the
 * lease has moved meanwhile.
 */
async function restAt(place: Whereabouts, { at, over, rest, clock }: Search): Promise<boolean> {
  const until = clock.monotonicMs() + RETRY_REFUSED_MS;
  const isStill = (): boolean => place.state === 'present' && isStillAt(place, at());
  while (!over.aborted && isStill() && clock.monotonicMs() < until) {
    await rest(until - clock.monotonicMs());
  }
  return isStill();
}

const isStillAt = ({ generation }: Present, at: Whereabouts): boolean => at.state === 'present' && at.generation === generation;
