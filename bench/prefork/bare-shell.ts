import { readFileSync } from 'node:fs';
import { systemClock } from '../../src/lib/clock';
import { createPooledSessions, dialDirectly, type PooledSessions, type SshTarget } from '../../src/ssh';
import { timeMs } from '../measure';

/** An account by the shortest script that makes one, over a connection that stays open. */
export interface BareShell {
  /** Seconds until it is there. */
  create(account: { username: string; uid: number }, publicKey: string): Promise<number>;
  close(): void;
}

/** Standard input is the key; $1 the name, $2 the uid. */
const SCRIPT = `set -e
groupadd -g $2 $1; useradd -l -M -N -u $2 -g $2 -d /home/$1 -s /bin/bash $1; chage -E 40000 $1
mkdir -m 700 /home/$1 /home/$1/.ssh; umask 077; cat >/home/$1/.ssh/authorized_keys; chown -R $2:$2 /home/$1`;

export async function openBareShell(target: SshTarget, keyFile: string): Promise<BareShell> {
  const settings = {
    dial: dialDirectly,
    username: 'orion-mgmt',
    privateKey: readFileSync(keyFile, 'utf8'),
    clock: systemClock,
    loginTimeoutMs: 10_000,
    idleMs: 600_000,
    max: 1,
  };
  const sessions: PooledSessions = createPooledSessions(settings);
  await sessions.keep(target, AbortSignal.timeout(10_000));
  return {
    create: async ({ username, uid }, publicKey) => {
      const took = await timeMs(async () => {
        const job = { command: `sh -c '${SCRIPT}' sh ${username} ${uid}`, input: `${publicKey}\n`, signal: AbortSignal.timeout(10_000) };
        const { code, stderr } = await sessions.run(target, job);
        if (code !== 0) {
          throw new Error(`no account: ${stderr}`);
        }
      });
      return took / 1000;
    },
    close: () => sessions.close(),
  };
}
