import type { Worker } from '../lab';

export const SSHD_CONFIG = '/etc/ssh/sshd_config';

/** Reloads sshd. sshd has read its files again once it listens with another socket and answers there. */
const RELOAD = `pid=$(pgrep -xo sshd) && sockets() { ls -l /proc/$pid/fd | grep socket:; } && before=$(sockets) && kill -HUP $pid &&
  for try in $(seq 200); do [ "$(sockets)" != "$before" ] && ssh-keyscan -T 1 -p $PORT $ADDRESS 2>/dev/null | grep -q . && exit 0; sleep 0.05; done; exit 1`;

/**
 * Changes a worker's sshd configuration, as its owner would. Resolves when the change is in effect. Throws when sshd does not come back.
 */
export async function changeSshd(worker: Pick<Worker, 'name' | 'port' | 'address' | 'exec'>, command: string): Promise<void> {
  const { code, stderr } = await worker.exec(`${command} && export PORT=${worker.port} ADDRESS=${worker.address} && { ${RELOAD}; }`);
  if (code !== 0) {
    throw new Error(`sshd of ${worker.name} did not come back: ${stderr}`);
  }
}

/** Inserts a line at the start of the configuration. The returned function restores the old configuration. */
export async function givenSshdLine(worker: Worker, line: string): Promise<() => Promise<void>> {
  await changeSshd(worker, `cp ${SSHD_CONFIG} /root/sshd_config.before && sed -i '1i ${line}' ${SSHD_CONFIG}`);
  return () => changeSshd(worker, `cp /root/sshd_config.before ${SSHD_CONFIG}`);
}
