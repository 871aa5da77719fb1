import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { systemClock } from '../../src/lib/clock';
import type { Lab } from './lab';

/**
 * The fate of one COMMIT. `cut_before`: it never reaches the server, and both connections are reset. `cut_after`: the server commits, the
 * proxy drops the answer and resets the client's connection, so the client does not know the outcome.
 */
export type CommitFate = 'pass' | 'cut_before' | 'cut_after';

/** A TCP proxy between a role and MariaDB. It parses just enough of the protocol to detect a COMMIT. */
export interface DatabaseProxy {
  host: string;
  port: number;
  /** Number of queries sent to the server so far; each is one round trip. */
  queries: number;
  /** Called with the text of each query. */
  onQuery: (text: string) => void;
  /** Number of COMMITs so far. `lostAnswers` counts those whose answer was dropped after the server had sent it. */
  commits: number;
  lostAnswers: number;
  cutBefore: number;
  /** Called for every COMMIT. By default all pass. */
  decide: () => CommitFate;
  /** Delays every chunk in both directions by this time. */
  delayMs: number;
  /** Resets every open connection. */
  cutAll(): void;
}

const COM_QUERY = 0x03;
const HEADER = 4;
const OK = 0x00;
const OK_LENGTH = 7;
const IN_TRANSACTION = 0x0001;
const MORE_RESULTS = 0x0008;

/** @param upstream where MariaDB listens */
export async function startDatabaseProxy(lab: Lab, upstream: { host: string; port: number }): Promise<DatabaseProxy> {
  const open = new Set<Socket>();
  const server = createServer((client) => relay(client, connect({ ...upstream, noDelay: true })));
  const reset = (socket: Socket): void => {
    if (socket.writableEnded) {
      // The socket is already closing. libuv does not reset such a socket, and Node would wait for it for ever at exit.
      socket.destroy();
    } else if (!socket.destroyed) {
      socket.resetAndDestroy();
    }
  };
  const relay = (client: Socket, database: Socket): void => {
    client.setNoDelay(true);
    let fate: CommitFate = 'pass';
    const both = [client, database];
    const cut = (): void => both.forEach(reset);
    both.forEach((socket) => {
      open.add(socket);
      socket.on('error', cut);
      socket.on('close', () => {
        open.delete(socket);
        cut();
      });
    });
    const pass = delayed(proxy);
    const seesCommit = queryWatch(proxy);
    client.on('data', (chunk: Buffer) => {
      if (seesCommit(chunk)) {
        proxy.commits += 1;
        fate = proxy.decide();
        if (fate === 'cut_before') {
          proxy.cutBefore += 1;
          cut();
          return;
        }
      }
      pass(() => send(database, chunk));
    });
    const passBack = delayed(proxy);
    const seesCommitted = answerWatch();
    database.on('data', (chunk: Buffer) => {
      if (fate === 'cut_after') {
        if (seesCommitted(chunk)) {
          proxy.lostAnswers += 1;
          cut();
        }
        return;
      }
      passBack(() => send(client, chunk));
    });
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy: DatabaseProxy = {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    queries: 0,
    onQuery: () => undefined,
    commits: 0,
    lostAnswers: 0,
    cutBefore: 0,
    decide: () => 'pass',
    delayMs: 0,
    cutAll: () => open.forEach(reset),
  };
  lab.push('database proxy', () => {
    server.close();
    proxy.cutAll();
  });
  return proxy;
}

function send(socket: Socket, chunk: Buffer): void {
  if (!socket.destroyed) {
    socket.write(chunk);
  }
}

/** Runs actions in order, each after the delay that is configured at that moment. */
function delayed(proxy: { delayMs: number }): (act: () => void) => void {
  let last: Promise<void> | undefined;
  return (act) => {
    if (proxy.delayMs === 0 && last === undefined) {
      act();
      return;
    }
    const mine: Promise<void> = Promise.all([last, systemClock.sleep(proxy.delayMs)]).then(() => {
      act();
      last = last === mine ? undefined : last;
    });
    last = mine;
  };
}

/**
 * Counts and reports the queries of a client. The returned function reports whether a COMMIT ends in a chunk, alone or after the statements
 * that travel with it.
 */
const queryWatch = (proxy: Pick<DatabaseProxy, 'queries' | 'onQuery'>): ((chunk: Buffer) => boolean) =>
  packetWatch((payload, sequence) => {
    if (sequence !== 0 || payload[0] !== COM_QUERY) {
      return false;
    }
    const text = payload.subarray(1).toString('latin1');
    proxy.queries += 1;
    proxy.onQuery(text);
    return /(?:^|;\n)commit;?$/i.test(text);
  });

/**
 * Detects the answer to a COMMIT. The returned function reports whether it ends in a chunk from the server. The answer is an OK packet (two
 * numbers of one byte, then the status) that is the last of its answers and leaves no transaction open.
 */
const answerWatch = (): ((chunk: Buffer) => boolean) =>
  packetWatch(
    (payload) => payload[0] === OK && payload.length >= OK_LENGTH && (payload.readUInt16LE(3) & (IN_TRANSACTION | MORE_RESULTS)) === 0,
  );

/** Parses the packets of one direction: 3 bytes of length, 1 byte of sequence number, then the payload. */
function packetWatch(isIt: (payload: Buffer, sequence: number) => boolean): (chunk: Buffer) => boolean {
  let pending: Buffer = Buffer.alloc(0);
  return (chunk) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    let seen = false;
    while (pending.length >= HEADER && pending.length >= HEADER + pending.readUIntLE(0, 3)) {
      const end = HEADER + pending.readUIntLE(0, 3);
      seen = isIt(pending.subarray(HEADER, end), pending.readUInt8(3)) || seen;
      pending = pending.subarray(end);
    }
    return seen;
  };
}
