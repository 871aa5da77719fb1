import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cipher, createAge, createDirectoryStore, createHomes, type Home, type Homes } from '../../../src/modules/checkpoints';
import { dialDirectly } from '../../../src/ssh';
import { type Lab, runOrThrow, type Worker } from '../../lab';
import { asRoot, type Bench, nodeOf } from '../provisioning/support';

export type Store = ReturnType<typeof createDirectoryStore>;

export interface Archivist {
  dir: string;
  store: Store;
  cipher: Cipher;
  homes: Homes;
  /** The same homes over another store or cipher. */
  over(other: { store?: Store; cipher?: Cipher }): Homes;
}

/** A new age identity in a file. */
export async function makeIdentity(lab: Lab): Promise<string> {
  const file = join(lab.dir, 'checkpoint-key');
  await runOrThrow('age-keygen', ['-o', file]);
  return file;
}

/** A store in a folder of the lab's, and what moves homes to it and back, over real sshd, tar and age. */
export async function createArchivist({ lab, managementKey }: Bench): Promise<Archivist> {
  const dir = join(lab.dir, 'checkpoints');
  mkdirSync(dir);
  const store = createDirectoryStore(dir);
  const cipher = createAge(await makeIdentity(lab));
  const session = { dial: dialDirectly, username: 'orion-mgmt', privateKey: readFileSync(managementKey.keyFile, 'utf8') };
  const over: Archivist['over'] = (other) => createHomes({ session, store, cipher, ...other });
  return { dir, store, cipher, homes: over({}), over };
}

let lastUid = 40_000;

export const KEYS = 'the keys that the provisioning wrote\n';

/** An account with a home such as the provisioning makes, past Ansible. */
export async function anAccount(worker: Worker): Promise<Home> {
  const uid = (lastUid += 1);
  const username = `orn-c${uid}`;
  await asRoot(
    worker,
    `groupadd -g ${uid} ${username} && useradd -l -M -N -u ${uid} -g ${uid} -d /home/${username} ${username}
     mkdir -m 700 /home/${username} /home/${username}/.ssh && cat > /home/${username}/.ssh/authorized_keys && chown -R ${uid}:${uid} /home/${username}`,
    KEYS,
  );
  return { target: nodeOf(worker), username, uid };
}

/** Runs a script as the tenant, in the home. */
export const asOwner = (worker: Worker, { username, uid }: Home, script: string): Promise<string> =>
  asRoot(
    worker,
    `cd /home/${username} && HOME=/home/${username} setpriv --reuid=${uid} --regid=${uid} --clear-groups bash -euo pipefail -s`,
    script,
  );

/**
 * Every entry of a home with its kind, mode, size, links and content, but for what is not the tenant's to keep; and whatever belongs to
 * anybody else.
 */
export const describeHome = async (worker: Worker, { username, uid }: Home): Promise<string[]> => {
  const said = await asRoot(
    worker,
    `cd /home/${username}
     find . -mindepth 1 \\( -path ./.orion-checkpoint -o -path ./.ssh/authorized_keys \\) -prune -o -printf '%P|%y|%m|%n|%l|%T@|' \\( -type f -printf '%s|' -exec sh -c 'head -c 4096 "$1" | sha256sum | head -c 16' sh {} \\; \\) -printf '\\0' -o -printf '\\0' | tr '\\n\\0' '?\\n' | sed -e 's/\\.[0-9]*|/|/' -e 's/^\\(.ssh|d|.*\\)|[0-9]*|$/\\1/' | sort
     find . ! -uid ${uid} -printf 'not the tenant'\\''s: %p\\n'`,
  );
  return said.split('\n');
};
