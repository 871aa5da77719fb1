import { type DatabaseAccess, freePort, generateSshKeyPair, type Lab, type OrionProcess, startOrion } from '../test/lab';
import { DEFAULT_SETTINGS } from './settings';

export const JWT_KEY = 'a key of the benchmark that is long enough';

export interface RoleOptions {
  env?: Record<string, string>;
  nodeArgs?: string[];
}

/** One process of Orion, built, with its defaults, on a database that has its tables. */
export async function startRole(
  lab: Lab,
  role: 'api' | 'scheduler',
  { host, port, user, password, database }: DatabaseAccess,
  { env = {}, nodeArgs = [] }: RoleOptions = {},
): Promise<OrionProcess> {
  const httpPort = await freePort();
  return startOrion(lab, role, {
    port: httpPort,
    nodeArgs,
    env: {
      ...DEFAULT_SETTINGS,
      ORION_DB_HOST: host,
      ORION_DB_PORT: String(port),
      ORION_DB_USER: user,
      ORION_DB_PASSWORD: password,
      ORION_DB_NAME: database,
      ORION_HTTP_HOST: '127.0.0.1',
      ORION_HTTP_PORT: String(httpPort),
      // A process without an API says that it is ready there.
      ORION_OPS_HOST: '127.0.0.1',
      ...(role === 'api' ? {} : { ORION_OPS_PORT: String(httpPort) }),
      ORION_JWT_KEY: JWT_KEY,
      ORION_SSH_KEY_FILE: (await generateSshKeyPair(lab.dir)).keyFile,
      ORION_CONTROL_KEY_FILE: (await generateSshKeyPair(lab.dir, 'control key')).keyFile,
      ...env,
    },
  });
}
