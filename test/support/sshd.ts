import type { Worker } from '../lab';

export const SSHD_CONFIG = '/etc/ssh/sshd_config';

/** sshd goes by its files anew once it listens with another socket, and answers there. */
const RELOAD = `pid=$(pgrep -xo sshd) && sockets() { ls -l /proc/$pid/fd | grep socket:; } && before=$(sockets) && kill -HUP $pid &&
  for try in $(seq 200); do [ "$(sockets)" != "$before" ] && ssh-keyscan -T 1 -p $PORT $ADDRESS 2>/dev/null | grep -q . && exit 0; sleep 0.05; done; exit 1`;

/** Does something to a worker's sshd configuration, as its owner would; returns when it holds. Throws when sshd does not come back. */
export async function changeSshd(worker: Pick<Worker, 'name' | 'port' | 'address' | 'exec'>, command: string): Promise<void> {
  const { code, stderr } = await worker.exec(`${command} && export PORT=${worker.port} ADDRESS=${worker.address} && { ${RELOAD}; }`);
  if (code !== 0) {
    throw new Error(`sshd of ${worker.name} did not come back: ${stderr}`);
  }
}

/** Puts a line before everything else in the configuration; the result takes it back. */
export async function givenSshdLine(worker: Worker, line: string): Promise<() => Promise<void>> {
  await changeSshd(worker, `cp ${SSHD_CONFIG} /root/sshd_config.before && sed -i '1i ${line}' ${SSHD_CONFIG}`);
  return () => changeSshd(worker, `cp /root/sshd_config.before ${SSHD_CONFIG}`);
}
