import { randomUUID } from 'node:crypto';
import { Agent, request } from 'node:https';
import { systemClock } from '../../../src/lib/clock';

export interface LoadOptions {
  url: string;
  /** The certificate authority to trust, as PEM. */
  ca: string;
  /** What is sent, in turn. */
  requests: LoadRequest[];
  /** Requests at once; each caller sends the next one as soon as it has an answer. */
  width: number;
  /** Of each caller, between an answer and the next request. Default: none. */
  pauseMs?: number;
  /** Repeats what failed until it succeeds, as a good client does; `failures` then holds what never did. */
  persistent?: boolean;
}

export interface LoadRequest {
  method: 'GET' | 'POST';
  path: string;
  token: string;
  /** JSON; an Idempotency-Key of its own goes with each request that has one, the same in all its repetitions. */
  body?: object;
  /** Statuses that are answers and no failure beside those below 500. */
  fine?: number[];
}

export interface LoadReport {
  requests: number;
  /** Requests that were sent again. */
  repeated: number;
  /** Any 5xx, reset or timeout, in words. */
  failures: string[];
}

export interface Load {
  /** How many were answered so far. */
  done(): number;
  stop(): Promise<LoadReport>;
}

const TIMEOUT_MS = 20_000;
const PERSISTENCE_MS = 60_000;

/** A steady load over kept connections, until it is told to stop. */
export function startLoad(options: LoadOptions): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: options.width, ca: options.ca });
  const report: LoadReport = { requests: 0, repeated: 0, failures: [] };
  const stopping = new AbortController();
  let next = 0;

  const caller = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const wanted = options.requests[next++ % options.requests.length] as LoadRequest;
      await sendUntilDone(options, agent, wanted, report);
      report.requests += 1;
      if (options.pauseMs !== undefined) {
        await systemClock.sleep(options.pauseMs);
      }
    }
  };
  const callers = Promise.all(Array.from({ length: options.width }, caller));
  return {
    done: () => report.requests,
    stop: async () => {
      stopping.abort();
      await callers;
      agent.destroy();
      return report;
    },
  };
}

async function sendUntilDone(
  { url, persistent = false }: LoadOptions,
  agent: Agent,
  wanted: LoadRequest,
  report: LoadReport,
): Promise<void> {
  const key = randomUUID();
  const begunAt = systemClock.monotonicMs();
  for (;;) {
    const failure = await send(url, agent, wanted, key);
    if (failure === null) {
      return;
    }
    if (!persistent || systemClock.monotonicMs() - begunAt > PERSISTENCE_MS) {
      report.failures.push(failure);
      return;
    }
    report.repeated += 1;
    await systemClock.sleep(100);
  }
}

/** What went wrong, or null. */
function send(url: string, agent: Agent, { method, path, token, body, fine = [] }: LoadRequest, key: string): Promise<string | null> {
  const startedAt = new Date().toISOString();
  const text = body === undefined ? undefined : JSON.stringify(body);
  const content: Record<string, string> = text === undefined ? {} : { 'Content-Type': 'application/json', 'Idempotency-Key': key };
  return new Promise((resolve) => {
    const failed = (why: string): void => resolve(`${method} ${path} begun ${startedAt}: ${why}`);
    const outgoing = request(
      `${url}${path}`,
      { method, agent, timeout: TIMEOUT_MS, headers: { Authorization: `Bearer ${token}`, ...content } },
      (response) => {
        const { statusCode = 0 } = response;
        let answer = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (answer += chunk));
        response.on('end', () =>
          statusCode >= 500 && !fine.includes(statusCode) ? failed(`${statusCode} ${answer.slice(0, 200)}`) : resolve(null),
        );
        response.on('error', (error) => failed(error.message));
      },
    );
    outgoing.once('timeout', () => outgoing.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    outgoing.once('error', (error) => failed(error.message));
    outgoing.end(text);
  });
}
