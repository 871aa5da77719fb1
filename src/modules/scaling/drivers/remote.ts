import { z } from 'zod';
import { withDeadline } from '../../../lib/clock';
import { messageOf } from '../../../lib/errors';
import type { ScaleDriver, ScaledService } from '../types';
import { parseState, removedWire } from '../wire';

/** A driver that calls the process with the Docker socket. */
export interface RemoteDriver extends ScaleDriver {
  /** Why the scale driver cannot be used now, or null. Never rejects. */
  whyNotReady(): Promise<string | null>;
}

/** Deadlines of whole calls, in milliseconds. */
export interface RemoteLimits {
  ready: number;
  call: number;
  /** Added for each replica that a step adds. */
  replica: number;
}

/**
 * Longer than the sum of the scale driver's own deadlines, so that its answer comes first. A call makes up to four rounds of engine calls,
 * of 15 s each. A new replica takes up to five more.
 */
const LIMITS: RemoteLimits = { ready: 5_000, call: 75_000, replica: 75_000 };
/** Node's fetch waits at most 300 s for the head of an answer. */
const MOST_MS = 290_000;
const REASON_LENGTH = 300;

const problemWire = z.object({ detail: z.string() });
const notReadyWire = z.object({ reason: z.string() });

interface Call {
  method: 'GET' | 'POST';
  path: string;
  body?: object;
  limitMs: number;
}

interface Answer {
  status: number;
  /** Undefined when the answer is no JSON. */
  body: unknown;
}

/** Creates a client of the role scale-driver at `url`. Connects only when it is called. */
export function createRemoteDriver(url: string, limits: RemoteLimits = LIMITS): RemoteDriver {
  const act = async (call: Call): Promise<unknown> => {
    const { status, body } = await send(url, call);
    if (status < 200 || status > 299) {
      throw new Error(`the scale driver refused with status ${status}: ${textOf(problemWire.safeParse(body).data?.detail)}`);
    }
    return body;
  };
  const pathOf = (service: ScaledService): string => `/services/${service}`;
  return {
    inspect: async (service) => asAgreed(parseState, await act({ method: 'GET', path: pathOf(service), limitMs: limits.call })),
    scale: async (service, { from, to }) => {
      const limitMs = Math.min(MOST_MS, limits.call + Math.max(0, to - from) * limits.replica);
      await act({ method: 'POST', path: `${pathOf(service)}/scale`, body: { from, to }, limitMs });
    },
    tidy: async (service) => {
      const body = await act({ method: 'POST', path: `${pathOf(service)}/tidy`, limitMs: limits.call });
      return asAgreed((answer) => removedWire.parse(answer).removed, body);
    },
    whyNotReady: async () => {
      try {
        const { status, body } = await send(url, { method: 'GET', path: '/readyz', limitMs: limits.ready });
        return status === 200 ? null : `the scale driver is not ready: ${textOf(notReadyWire.safeParse(body).data?.reason)}`;
      } catch (error) {
        return messageOf(error);
      }
    },
  };
}

async function send(url: string, { method, path, body, limitMs }: Call): Promise<Answer> {
  const content = body === undefined ? {} : { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
  try {
    return await withDeadline(limitMs, async (signal) => {
      const response = await fetch(`${url}${path}`, { method, signal, redirect: 'error', ...content });
      return { status: response.status, body: parseJson(await response.text()) };
    });
  } catch (error) {
    // fetch puts the reason of a failure into `cause`.
    const reason = error instanceof Error ? (error.cause ?? error) : error;
    throw new Error(`the scale driver does not answer: ${messageOf(reason)}`, { cause: error });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function asAgreed<T>(parseBody: (body: unknown) => T, body: unknown): T {
  try {
    return parseBody(body);
  } catch (error) {
    throw new Error('the answer of the scale driver is not as agreed', { cause: error });
  }
}

const textOf = (text: string | undefined): string => text?.slice(0, REASON_LENGTH) ?? 'no reason given';
