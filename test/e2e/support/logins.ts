import { readFileSync } from 'node:fs';
import type { Worker } from '../../lab';
import { inside } from './inside';

/** Asks a worker from within, past every partition, five times a second which tenants it lets in. */
export interface LoginWatch {
  /** Moments in milliseconds by the host's clock, the worker's too: the begin of the first login that was taken and the end of the last. */
  taken(): Promise<{ firstMs: number; lastMs: number } | undefined>;
}

const FILE = '/root/logins';

export async function watchLogins(worker: Worker, keyFile: string): Promise<LoginWatch> {
  const at = `${worker.address} ${worker.port}`;
  const install = `umask 077; cat > /root/key; echo "[${at.replace(' ', ']:')} $(cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub)" > /root/hosts`;
  const { code, stderr } = await worker.exec(install, { input: readFileSync(keyFile, 'utf8') });
  if (code !== 0) {
    throw new Error(`cannot watch ${worker.name}: ${stderr}`);
  }
  const ssh = `timeout 3 ssh -F none -i /root/key -o BatchMode=yes -o UserKnownHostsFile=/root/hosts -o StrictHostKeyChecking=yes -p ${worker.port}`;
  await inside(
    worker,
    `: > ${FILE}; setsid bash -c '
    while :; do
      for user in $(grep -o "^orn-[^:]*" /etc/passwd); do
        began=$(date +%s%3N)
        if ${ssh} $user@${worker.address} true </dev/null; then echo $began $(date +%s%3N); fi
      done
      sleep 0.2
    done' >> ${FILE} 2>/dev/null </dev/null & echo $! > /root/watch.pid`,
  );
  return {
    taken: async () => {
      const lines = (await inside(worker, `cat ${FILE}; kill -- -$(cat /root/watch.pid) 2>/dev/null || true`))
        .split('\n')
        .filter((line) => line !== '');
      const [first, last] = [lines[0], lines.at(-1)].map((line) => line?.split(' ').map(Number));
      return first && last ? { firstMs: first[0] ?? NaN, lastMs: last[1] ?? NaN } : undefined;
    },
  };
}
