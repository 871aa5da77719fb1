import { homedir } from 'node:os';
import { join } from 'node:path';
import envPaths from 'env-paths';
import { CliError } from './errors';
import { readIfThere, writePrivateFile } from './private-file';

interface StoredLogin {
  server?: string;
  username?: string;
  token?: string;
}

/** The private key of each lease, by server and lease id. */
type LeaseKeys = Partial<Record<string, Partial<Record<string, LeaseKey>>>>;

interface LeaseKey {
  private_key: string;
  ends_at: string;
}

/** The client's folder: config.json (0600), leases.json, known_hosts.d/, the files of `config-ssh`, and perhaps a key pair of its own. */
export interface Store {
  dir: string;
  loginFile: string;
  /** Path of the key pair that the client makes when the user has none. */
  ownKeyFile: string;
  readLogin(): Promise<StoredLogin>;
  writeLogin(login: StoredLogin): Promise<void>;
  findLeaseKey(server: string, leaseId: number): Promise<string | undefined>;
  rememberLeaseKey(server: string, lease: { id: number; ends_at: string }, privateKey: string): Promise<void>;
  forgetLeaseKey(server: string, leaseId: number): Promise<void>;
  /** Pins the host keys of a lease's present machine and returns the path of the file. */
  pinHostKeys(leaseId: number, lines: string): Promise<string>;
}

/** The home directory from the environment. */
export const homeOf = (env: NodeJS.ProcessEnv): string => env.HOME ?? homedir();

export function createStore(env: NodeJS.ProcessEnv): Store {
  const dir = env.ORION_CONFIG_DIR ?? envPaths('orion', { suffix: '' }).config;
  const loginFile = join(dir, 'config.json');
  const leasesFile = join(dir, 'leases.json');
  const readLeases = async (): Promise<LeaseKeys> => (await readJson<LeaseKeys>(leasesFile)) ?? {};
  return {
    dir,
    loginFile,
    ownKeyFile: join(dir, 'id_ed25519'),
    readLogin: async () => (await readJson<StoredLogin>(loginFile)) ?? {},
    writeLogin: (login) => writePrivateFile(loginFile, `${JSON.stringify(login, null, 2)}\n`),
    findLeaseKey: async (server, leaseId) => (await readLeases())[server]?.[String(leaseId)]?.private_key,
    rememberLeaseKey: async (server, { id, ends_at }, privateKey) => {
      const all = await readLeases();
      const kept = withoutOld(all[server] ?? {}, Date.parse(ends_at));
      await writePrivateFile(leasesFile, toText({ ...all, [server]: { ...kept, [id]: { private_key: privateKey, ends_at } } }));
    },
    forgetLeaseKey: async (server, leaseId) => {
      const all = await readLeases();
      if (all[server]?.[leaseId]) {
        const rest = Object.entries(all[server]).filter(([id]) => id !== String(leaseId));
        await writePrivateFile(leasesFile, toText({ ...all, [server]: Object.fromEntries(rest) }));
      }
    },
    pinHostKeys: async (leaseId, lines) => {
      const file = join(dir, 'known_hosts.d', `lease-${leaseId}`);
      await writePrivateFile(file, lines);
      return file;
    },
  };
}

const KEPT_MS = 90 * 86_400_000;

/**
 * Removes entries whose known end is more than 90 days before `newestEndMs`. The delay is long because a lease may have been extended from
 * another machine.
 */
function withoutOld(keys: Partial<Record<string, LeaseKey>>, newestEndMs: number): Partial<Record<string, LeaseKey>> {
  return Object.fromEntries(Object.entries(keys).filter(([, key]) => key && Date.parse(key.ends_at) > newestEndMs - KEPT_MS));
}

const toText = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

async function readJson<T extends object>(file: string): Promise<T | undefined> {
  const text = await readIfThere(file);
  if (text === undefined) {
    return undefined;
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) {
      return value as T;
    }
  } catch {
    // Reported below, together with JSON that is not an object.
  }
  throw new CliError(`${file} is damaged: it is not a JSON object.`, { hint: 'Delete it and log in again with: orion login' });
}
