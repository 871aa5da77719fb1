import { existsSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { eventually, type Lab, startProcess } from '../../test/lab';
import { timeMs } from '../measure';
import type { Peer } from './peer';

const QUEUE = 'nothing';

/** BullMQ on a Redis of its own, which writes a snapshot now and then and flushes no single change. */
export async function openBullMq(lab: Lab): Promise<Peer> {
  const connection = await startRedis(lab);
  const queue = new Queue(QUEUE, { connection });
  lab.push('queue', () => queue.close());
  return {
    name: 'BullMQ',
    work: async (jobs, concurrency) => {
      await queue.addBulk(Array.from({ length: jobs }, () => ({ name: QUEUE, data: {} })));
      const worker = new Worker(QUEUE, () => Promise.resolve(), { connection, concurrency, autorun: false });
      try {
        await worker.waitUntilReady();
        const tookMs = await timeMs(() => untilCompleted(worker, jobs));
        return (jobs * 1000) / tookMs;
      } finally {
        await worker.close();
        await queue.obliterate({ force: true });
      }
    },
  };
}

function untilCompleted(worker: Worker, jobs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = jobs;
    worker.on('completed', () => {
      left -= 1;
      if (left === 0) {
        resolve();
      }
    });
    worker.on('failed', (_job, error) => reject(error));
    worker.on('error', reject);
    worker.run().catch(reject);
  });
}

/** Its own settings but for the place: a socket in the lab's folder, and no port. */
async function startRedis(lab: Lab): Promise<Redis> {
  const dir = mkdtempSync(join(lab.dir, 'redis-'));
  const socket = join(dir, 's');
  const server = startProcess(lab, {
    name: 'redis',
    command: 'redis-server',
    args: ['--port', '0', '--unixsocket', socket, '--unixsocketperm', '700', '--dir', dir],
    cwd: dir,
  });
  await eventually(() => existsSync(socket) || !server.running(), { what: 'Redis listens', timeoutMs: 20_000, everyMs: 20 });
  if (!server.running()) {
    throw new Error(`redis-server ended at once: ${server.log().slice(-2000)}`);
  }
  const redis = new Redis({ path: socket, maxRetriesPerRequest: null });
  lab.push('connection to Redis', () => redis.disconnect());
  return redis;
}
