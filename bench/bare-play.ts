import { join } from 'node:path';
import { randomName } from '../src/lib/ids';
import { playEnvironment } from '../src/modules/provisioning/ansible/environment';
import { createPlayDirectory } from '../src/modules/provisioning/ansible/play-directory';
import { projectDir, runOrThrow, sshExec, type Worker } from '../test/lab';
import type { System } from '../test/support/system';
import { timeMs } from './measure';

/**
 * The playbooks on one worker, run by hand: one `ansible-playbook` each, with the files and settings that Orion gives it, made beforehand.
 */
export interface BareNode {
  /** A name and a uid that nobody has. */
  reserve(): Promise<BareAccount>;
  /** Makes an account with this key and returns it with the seconds that the play took. */
  create(publicKey: string): Promise<{ account: BareAccount; seconds: number }>;
  /** The two plays that Orion makes of a wipe. */
  wipe(account: BareAccount): Promise<number>;
  verify(account: BareAccount): Promise<number>;
  /** Seconds until `true` has run in the account, through OpenSSH. */
  login(account: BareAccount, keyFile: string): Promise<number>;
}

interface BareAccount {
  username: string;
  uid: number;
}

const playbooksDir = join(projectDir, 'playbooks');
const SECONDS = 3600;

export async function openBareNode(system: System, worker: Worker): Promise<BareNode> {
  const { id: nodeId } = await system.node(worker.name);
  const { address, port, hostKey } = worker;
  const play = async (playbook: string, vars: Record<string, unknown>): Promise<number> => {
    const files = {
      privateKeyFile: system.env['ORION_SSH_KEY_FILE'] ?? '',
      managementUser: 'orion-mgmt',
      target: { nodeId, address, port, hostKey },
      vars,
      playbooksDir,
    };
    const directory = await createPlayDirectory(files);
    try {
      const args = ['-i', directory.inventory, '-e', `@${directory.vars}`, join(playbooksDir, playbook)];
      return (
        (await timeMs(() => runOrThrow('ansible-playbook', args, { cwd: directory.path, env: playEnvironment(directory, playbooksDir) }))) /
        1000
      );
    } finally {
      await directory.remove();
    }
  };
  const reserve = async (): Promise<BareAccount> => ({ username: `orn-${randomName(10)}`, uid: await takeUid(system, nodeId) });
  return {
    reserve,
    create: async (publicKey) => {
      const account = await reserve();
      const spec = {
        ...account,
        lease_id: 1_000_000_000 + account.uid,
        generation: 1,
        public_keys: [publicKey],
        password_hash: null,
        remaining_seconds: SECONDS,
        limit_seconds: 115,
      };
      return { account, seconds: await play('create_user.yml', spec) };
    },
    wipe: (account) => play('delete_user.yml', { accounts: [account], limit_seconds: 115 }),
    verify: (account) => play('verify_clean.yml', { accounts: [account] }),
    login: async ({ username: user }, keyFile) => {
      const took = await timeMs(async () => {
        const { code, stderr } = await sshExec({ address, port, user, keyFile, hostKey }, 'true');
        if (code !== 0) {
          throw new Error(`no login: ${stderr}`);
        }
      });
      return took / 1000;
    },
  };
}

/** One that Orion will not use: the node refuses those below its fence. */
async function takeUid(system: System, nodeId: number): Promise<number> {
  await system.sql('UPDATE nodes SET next_uid = next_uid + 1 WHERE id = ?', [nodeId]);
  const [row] = await system.sql<{ uid: number }>('SELECT next_uid - 1 AS uid FROM nodes WHERE id = ?', [nodeId]);
  return Number(row?.uid);
}
