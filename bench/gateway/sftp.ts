import { rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runOrThrow, sshOptions } from '../../test/lab';
import { timeMs } from '../measure';
import type { Way } from './site';

const MIB = 1024 * 1024;
const LIMIT_MS = 180_000;

export type Direction = 'get' | 'put';

/** OpenSSH's own sftp carries files of one size; gives MB/s, the login included. */
export interface Courier {
  carry(way: Way, direction: Direction): Promise<number>;
}

export function createCourier(dir: string, mebibytes: number): Courier {
  const [sent, received] = [join(dir, 'sent'), join(dir, 'received')];
  const bytes = mebibytes * MIB;
  writeFileSync(sent, '');
  truncateSync(sent, bytes);
  return {
    carry: async ({ target, options, worker, username }, direction) => {
      const home = `/home/${username}`;
      const inside = (command: string): Promise<string> => worker.exec(command).then(({ stdout }) => stdout.trim());
      await inside(direction === 'get' ? `truncate -s ${bytes} ${home}/sent` : `rm -f ${home}/received`);
      rmSync(received, { force: true });
      const batch = join(dir, `batch-${direction}`);
      writeFileSync(batch, direction === 'get' ? `get sent "${received}"\n` : `put "${sent}" received\n`);
      const tookMs = await timeMs(() =>
        runOrThrow('sftp', [...sshOptions(target), ...options, '-q', '-b', batch, `${target.user}@${target.address}`], {
          timeoutMs: LIMIT_MS,
        }),
      );
      const arrived = direction === 'get' ? statSync(received).size : Number(await inside(`stat -c %s ${home}/received`));
      if (arrived !== bytes) {
        throw new Error(`${arrived} of ${bytes} bytes arrived`);
      }
      return bytes / 1000 / tookMs;
    },
  };
}
