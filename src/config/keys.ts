import { readFileSync } from 'node:fs';
import { messageOf } from '../lib/errors';
import type { EnvReader } from './env';

/** The keys with which the control plane logs in to nodes. */
export interface SshConfig {
  privateKeyFile: string;
  privateKey: string;
  extraPublicKeys: string[];
  managementUser: string;
}

/** The keys that only an API has: to sign the access tokens of users, and to prove to machines that it is the control plane to trust. */
export interface ApiKeys {
  jwt: { key: string; extraKeys: string[]; ttlSeconds: number };
  /** Private keys in OpenSSH format. */
  control: { key: string; oldKeys: string[] };
}

const lines = (text: string): string[] => text.split('\n').map((line) => line.trim()).filter((line) => line !== '');

export function readSsh(env: EnvReader): SshConfig {
  const privateKeyFile = env.text('ORION_SSH_KEY_FILE');
  let privateKey = '';
  if (privateKeyFile) {
    try {
      privateKey = readFileSync(privateKeyFile, 'utf8');
    } catch (error) {
      env.fault('ORION_SSH_KEY_FILE', messageOf(error));
    }
  }
  return {
    privateKeyFile,
    privateKey,
    extraPublicKeys: lines(env.text('ORION_SSH_EXTRA_PUBLIC_KEYS', { default: '' })),
    managementUser: env.text('ORION_MANAGEMENT_USER', { default: 'orion-mgmt' }),
  };
}

export const readApiKeys = (env: EnvReader): ApiKeys => ({ jwt: readJwt(env), control: readControl(env) });

const MIN_JWT_KEY_LENGTH = 32;

function readJwt(env: EnvReader): ApiKeys['jwt'] {
  const key = env.text('ORION_JWT_KEY', { secret: true });
  const extraKeys = lines(env.text('ORION_JWT_EXTRA_KEYS', { default: '', secret: true }));
  if (key !== '' && key.length < MIN_JWT_KEY_LENGTH) {
    env.fault('ORION_JWT_KEY', `must have at least ${MIN_JWT_KEY_LENGTH} characters`);
  }
  if (extraKeys.some(({ length }) => length < MIN_JWT_KEY_LENGTH)) {
    env.fault('ORION_JWT_EXTRA_KEYS', `must be keys of at least ${MIN_JWT_KEY_LENGTH} characters, one a line`);
  }
  return { key, extraKeys, ttlSeconds: env.integer('ORION_JWT_TTL_SECONDS', { default: 12 * 3600, min: 60, max: 30 * 86_400 }) };
}

const PRIVATE_KEYS = /-----BEGIN [A-Z ]+-----[^-]+-----END [A-Z ]+-----/g;

function readControl(env: EnvReader): ApiKeys['control'] {
  const key = env.optionalText('ORION_CONTROL_KEY', { secret: true });
  if (key === undefined) {
    env.fault('ORION_CONTROL_KEY', 'is required by an API: make one with scripts/init-secrets.sh, or ssh-keygen -t ed25519');
  }
  return { key: key ?? '', oldKeys: env.text('ORION_CONTROL_OLD_KEYS', { default: '', secret: true }).match(PRIVATE_KEYS) ?? [] };
}
