import { connect, type Socket } from 'node:net';
import type { PostCall } from '../../src/agent/control-plane';
import type { HttpAnswer } from '../../src/agent/http';

type Post = Omit<PostCall, 'signal'>;

/** Kept connections to each API replica that all agents of a process share, as a proxy in front of them would. */
export interface Lanes {
  /** Rejects when the connection broke or the time is over; waiting for a lane counts. */
  post(post: Post): Promise<HttpAnswer>;
}

interface Job extends Post {
  resolve: (answer: HttpAnswer) => void;
  reject: (error: Error) => void;
}

/** A client of few instructions: one for comfort would take more of the machine than what it measures. Replicas get the same. */
export function openLanes(urls: readonly string[], perReplica: number): Lanes {
  const replicas = urls.map((url) => openReplica(new URL(url), perReplica));
  let turn = 0;
  return {
    post: (post) =>
      new Promise((resolve, reject) => {
        turn = (turn + 1) % replicas.length;
        replicas[turn]?.({ ...post, resolve, reject });
      }),
  };
}

/** Takes the lane that was used last: those that are not needed are closed by the server. */
function openReplica(url: URL, lanes: number): (job: Job) => void {
  const waiting: Job[] = [];
  const free = (lane: (job: Job) => void): void => {
    const job = waiting.shift();
    if (job) {
      lane(job);
    } else {
      idle.push(lane);
    }
  };
  const idle = Array.from({ length: lanes }, () => createLane(url, free));
  return (job) => {
    const lane = idle.pop();
    if (lane) {
      lane(job);
    } else {
      waiting.push(job);
    }
  };
}

/** One job at a time; `free` is told when it may have another. */
function createLane({ hostname, port }: URL, free: (lane: (job: Job) => void) => void): (job: Job) => void {
  let socket: Socket | undefined;
  let received = '';
  let job: Job | undefined;
  let timer: NodeJS.Timeout | undefined;
  const end = (tell: (job: Job) => void): void => {
    const ended = job;
    job = undefined;
    received = '';
    clearTimeout(timer);
    if (ended) {
      tell(ended);
      free(lane);
    }
  };
  const open = (): Socket => {
    const opened = connect({ host: hostname, port: Number(port), noDelay: true });
    opened.setEncoding('latin1');
    opened.on('error', () => undefined);
    opened.on('close', () => {
      if (socket === opened) {
        socket = undefined;
        end(({ reject }) => reject(new Error('the connection was closed')));
      }
    });
    opened.on('data', (chunk: string) => {
      received += chunk;
      const answer = parseAnswer(received);
      if (answer) {
        end(({ resolve }) => resolve(answer));
      }
    });
    return opened;
  };
  const lane = (given: Job): void => {
    job = given;
    socket ??= open();
    socket.write(requestOf(hostname, given));
    timer = setTimeout(() => socket?.destroy(), given.timeoutMs);
  };
  return lane;
}

function requestOf(host: string, { path, headers, body }: Post): string {
  const head = Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
  return `POST ${path} HTTP/1.1\r\nHost: ${host}\r\n${head}Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

/** Undefined until all of it is there. */
function parseAnswer(text: string): HttpAnswer | undefined {
  const head = text.indexOf('\r\n\r\n');
  const length = Number(/^content-length: (\d+)/im.exec(text.slice(0, head))?.[1] ?? 0);
  if (head < 0 || text.length < head + 4 + length) {
    return undefined;
  }
  const retryAfter = /^retry-after: (\d+)/im.exec(text.slice(0, head))?.[1];
  return {
    status: Number(text.slice(9, 12)),
    retryAfterSeconds: retryAfter === undefined ? undefined : Number(retryAfter),
    location: undefined,
    seal: /^orion-mac: (\S+)/im.exec(text.slice(0, head))?.[1],
    text: text.slice(head + 4),
  };
}
