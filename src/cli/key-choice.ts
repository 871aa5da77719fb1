import { execFile } from 'node:child_process';
import { access, chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CliError, usageError } from './errors';
import { readIfThere } from './private-file';
import type { Session } from './session';
import { homeOf } from './store';

export interface KeyChoice {
  /** The key to send with the rent. Undefined: the account's registered keys open the lease. */
  publicKey: string | undefined;
  /** The file of the private key. Undefined when it is not on this machine. */
  privateKeyFile: string | undefined;
}

export interface KeyRequest {
  /** A file with a public key, or a private key whose public key is in the file with `.pub` appended. */
  file?: string;
  /** Whether a password is enough when there is no key. */
  withPassword: boolean;
  /** Whether the lease is for another account, whose registered keys then open it. */
  forAnother: boolean;
}

/** Chooses the key to rent with: the named one, else the account's registered keys, else one of ~/.ssh, else a new one. */
export async function chooseKey(session: Session, { file, withPassword, forAnother }: KeyRequest): Promise<KeyChoice> {
  if (file !== undefined) {
    return readNamed(file);
  }
  if (forAnother) {
    return { publicKey: undefined, privateKeyFile: undefined };
  }
  const local = await listLocalKeys(session);
  const registered = (await session.api.call((orion) => orion['/api/keys'].GET())).data.items;
  if (registered.length > 0) {
    const match = local.find(({ publicKey }) => registered.some((key) => blobOf(key.public_key) === blobOf(publicKey)));
    return { publicKey: undefined, privateKeyFile: match?.privateKeyFile };
  }
  const [first] = local;
  if (first !== undefined || withPassword) {
    return first ?? { publicKey: undefined, privateKeyFile: undefined };
  }
  return makeOwnKey(session);
}

interface LocalKey {
  publicKey: string;
  privateKeyFile: string;
}

const NAMES = ['id_ed25519', 'id_ecdsa', 'id_rsa'];

async function listLocalKeys({ io, store }: Session): Promise<LocalKey[]> {
  const files = [...NAMES.map((name) => join(homeOf(io.env), '.ssh', name)), store.ownKeyFile];
  const keys = await Promise.all(
    files.map(async (file) => ({ privateKeyFile: file, publicKey: (await readIfThere(`${file}.pub`))?.trim() })),
  );
  return keys.flatMap(({ publicKey, privateKeyFile }) => (publicKey ? [{ publicKey, privateKeyFile }] : []));
}

async function readNamed(file: string): Promise<KeyChoice> {
  const text = await readIfThere(file);
  if (text === undefined) {
    throw usageError(`There is no file ${file}.`);
  }
  if (text.includes('PRIVATE KEY-----')) {
    const publicKey = await readIfThere(`${file}.pub`);
    if (publicKey === undefined) {
      throw usageError(`${file} is a private key, and ${file}.pub is not there.`, `Make it with: ssh-keygen -y -f ${file} > ${file}.pub`);
    }
    return { publicKey: publicKey.trim(), privateKeyFile: file };
  }
  const privateKeyFile = file.replace(/\.pub$/, '');
  const isThere =
    privateKeyFile !== file &&
    (await access(privateKeyFile).then(
      () => true,
      () => false,
    ));
  return { publicKey: text.trim(), privateKeyFile: isThere ? privateKeyFile : undefined };
}

async function makeOwnKey({ out, store }: Session): Promise<KeyChoice> {
  await mkdir(store.dir, { recursive: true, mode: 0o700 });
  try {
    await promisify(execFile)('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'orion', '-f', store.ownKeyFile], { timeout: 30_000 });
  } catch (error) {
    throw new CliError(`No SSH key was found and none could be made: ${(error as Error).message.trim()}`, {
      hint: 'Name one with: orion rent --key FILE.pub',
    });
  }
  await chmod(store.ownKeyFile, 0o600);
  out.note(`No SSH key was found; a new one was made: ${store.ownKeyFile}`);
  return { publicKey: (await readIfThere(`${store.ownKeyFile}.pub`))?.trim(), privateKeyFile: store.ownKeyFile };
}

/** Returns type and key, without the comment. */
function blobOf(publicKey: string): string {
  return publicKey.trim().split(/\s+/).slice(0, 2).join(' ');
}
