import { redactText } from '../lib/redact';
import { listSettings } from './catalogue';
import type { Setting } from './setting';

/** A setting as an administrator may pass it on. */
export interface ShownSetting {
  name: string;
  /** The value, `file PATH`, or `set` for a secret. Null: it is not set, and has no default. */
  value: string | null;
}

const MAX_LENGTH = 500;

/** Lists the settings that these roles use, without secrets. */
export function showSettings(env: NodeJS.ProcessEnv, roles: readonly string[]): ShownSetting[] {
  const used = listSettings()
    .flatMap(({ settings }) => settings)
    .filter((setting) => setting.roles.some((role) => roles.includes(role)));
  return [...new Map(used.map((setting) => [setting.name, setting])).values()].map((setting) => ({
    name: setting.name,
    value: shown(env, setting),
  }));
}

function shown(env: NodeJS.ProcessEnv, { name, type, default: fallback }: Setting): string | null {
  const [value, file] = [env[name] ?? '', env[`${name}_FILE`] ?? ''];
  if (file !== '') {
    return `file ${file}`;
  }
  if (type === 'secret') {
    return value === '' ? null : 'set';
  }
  return value === '' ? (fallback ?? null) : withoutSecrets(value);
}

/** A URL may contain a password. */
const withoutSecrets = (value: string): string =>
  redactText(value)
    .replace(/\/\/[^/@\s]*@/g, '//[redacted]@')
    .slice(0, MAX_LENGTH);
