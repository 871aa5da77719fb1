import { readFileSync } from 'node:fs';
import { messageOf } from '../lib/errors';
import type { EnvReader } from './env';
import { NODE_ROLES } from './setting';

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

const lines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');

export function readSsh(env: EnvReader, managementUser: string): SshConfig {
  const privateKeyFile = env.text('ORION_SSH_KEY_FILE', {
    roles: NODE_ROLES,
    doc: 'File with the private key by which the control plane logs in to nodes.',
  });
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
    extraPublicKeys: lines(
      env.text('ORION_SSH_EXTRA_PUBLIC_KEYS', {
        default: '',
        roles: ['api'],
        doc: 'Further public keys that agents admit, one a line, for [rotating](operations.md#ssh-key-of-the-control-plane) the key above.',
      }),
    ),
    managementUser,
  };
}

export const readApiKeys = (env: EnvReader, tokenSeconds: number): ApiKeys => ({
  jwt: readJwt(env, tokenSeconds),
  control: readControl(env),
});

const MIN_JWT_KEY_LENGTH = 32;

function readJwt(env: EnvReader, ttlSeconds: number): ApiKeys['jwt'] {
  const key = env.text('ORION_JWT_KEY', { secret: true, roles: ['api'], doc: 'Signs access tokens; at least 32 characters.' });
  const extraKeys = lines(
    env.text('ORION_JWT_EXTRA_KEYS', {
      default: '',
      secret: true,
      roles: ['api'],
      doc: 'Further keys, one a line, whose access tokens are valid, for [rotating](operations.md#key-of-the-access-tokens) the key above.',
    }),
  );
  if (key !== '' && key.length < MIN_JWT_KEY_LENGTH) {
    env.fault('ORION_JWT_KEY', `must have at least ${MIN_JWT_KEY_LENGTH} characters`);
  }
  if (extraKeys.some(({ length }) => length < MIN_JWT_KEY_LENGTH)) {
    env.fault('ORION_JWT_EXTRA_KEYS', `must be keys of at least ${MIN_JWT_KEY_LENGTH} characters, one a line`);
  }
  return { key, extraKeys, ttlSeconds };
}

const PRIVATE_KEYS = /-----BEGIN [A-Z ]+-----[^-]+-----END [A-Z ]+-----/g;

function readControl(env: EnvReader): ApiKeys['control'] {
  const key = readControlKey(env);
  const oldKeys = env.text('ORION_CONTROL_OLD_KEYS', {
    default: '',
    secret: true,
    roles: ['api'],
    doc: 'Control keys of before, while agents still know them ([how](operations.md#control-key)).',
  });
  return { key, oldKeys: oldKeys.match(PRIVATE_KEYS) ?? [] };
}

/** Empty, with a fault, when it is not set. */
export function readControlKey(env: EnvReader): string {
  const key = env.optionalText('ORION_CONTROL_KEY', {
    secret: true,
    defaultDoc: 'required',
    roles: ['api'],
    doc: 'Private Ed25519 key in OpenSSH format, by which agents know the control plane: `ssh-keygen -t ed25519`.',
  });
  if (key === undefined) {
    env.fault('ORION_CONTROL_KEY', 'is required: make one with scripts/init-secrets.sh, or ssh-keygen -t ed25519');
  }
  return key ?? '';
}

/** The private key that signs the heads of the audit log. Undefined: nothing is sealed. */
export const readAuditKey = (env: EnvReader): string | undefined =>
  env.optionalText('ORION_AUDIT_KEY', {
    secret: true,
    roles: ['scheduler'],
    doc: 'Private Ed25519 key in OpenSSH format, which signs the [audit log](operations.md#audit-log). Without it the log is not sealed.',
  });
