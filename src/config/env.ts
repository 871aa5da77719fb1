import { readFileSync } from 'node:fs';
import { messageOf } from '../lib/errors';

/** All faults of a configuration, as one line `NAME: what is wrong` each. Never contains the value of a secret. */
export class ConfigError extends Error {
  override name = 'ConfigError';
  constructor(readonly faults: string[]) {
    super(`the configuration is not usable:\n${faults.map((fault) => `  ${fault}`).join('\n')}`);
  }
}

interface ReadOptions<T> {
  /** Used when the variable is absent or empty. Without it, the variable is required. */
  default?: T;
  /** True: the value is a secret, and faults never show it. */
  secret?: boolean;
}

interface IntegerOptions extends ReadOptions<number> {
  min?: number;
  max?: number;
}

interface UrlOptions extends ReadOptions<string> {
  /** Allowed schemes, without the colon. Default: http and https. */
  schemes?: string[];
}

/**
 * Reads environment variables as typed values. `NAME_FILE` names a file that contains the value of `NAME` (a trailing newline is cut).
 * Setting both is a fault, and an empty variable counts as absent.
 *
 * A method that finds a fault records it and returns a placeholder of its type. So read everything, then call `finish`, and use no value
 * before that.
 */
export interface EnvReader {
  text(name: string, options?: ReadOptions<string>): string;
  optionalText(name: string, options?: { secret?: boolean }): string | undefined;
  integer(name: string, options?: IntegerOptions): number;
  optionalInteger(name: string, options?: { min?: number; max?: number }): number | undefined;
  choice<T extends string>(name: string, allowed: readonly [T, ...T[]], options?: ReadOptions<NoInfer<T>>): T;
  /** true/false, 1/0, yes/no, on/off in any case. */
  boolean(name: string, options?: ReadOptions<boolean>): boolean;
  /** Returns the URL as written, without a trailing slash. */
  url(name: string, options?: UrlOptions): string;
  /** Records a fault that the caller found. */
  fault(name: string, problem: string): void;
  /** Throws one ConfigError with every fault. Does nothing when there is none. */
  finish(): void;
}

type Parse<T> = (raw: string) => { value: T } | { problem: string };

const BOOLEANS: Record<string, boolean> = { true: true, '1': true, yes: true, on: true, false: false, '0': false, no: false, off: false };

/** Creates a reader over `env`. It reads files at once, and nothing else. */
export function createEnvReader(env: NodeJS.ProcessEnv): EnvReader {
  const faults: string[] = [];
  const fault = (name: string, problem: string): void => void faults.push(`${name}: ${problem}`);
  const raw = (name: string): string | undefined => readRaw(env, name, fault);

  const optional = <T>(name: string, parse: Parse<T>, secret = false): T | undefined => {
    const text = raw(name);
    if (text === undefined) {
      return undefined;
    }
    const parsed = parse(text);
    if ('problem' in parsed) {
      fault(name, secret ? parsed.problem : `${parsed.problem} (it is ${JSON.stringify(text)})`);
      return undefined;
    }
    return parsed.value;
  };

  const required = <T>(name: string, parse: Parse<T>, options: ReadOptions<T> & { placeholder: T }): T => {
    const before = faults.length;
    const value = optional(name, parse, options.secret) ?? options.default;
    if (value === undefined && faults.length === before) {
      fault(name, 'is required');
    }
    return value ?? options.placeholder;
  };

  return {
    text: (name, options) => required(name, (value) => ({ value }), { ...options, placeholder: '' }),
    optionalText: (name, options) => optional(name, (value) => ({ value }), options?.secret),
    integer: (name, options) => required(name, parseInteger(options), { ...options, placeholder: 0 }),
    optionalInteger: (name, options) => optional(name, parseInteger(options)),
    choice: (name, allowed, options) => required(name, parseChoice(allowed), { ...options, placeholder: allowed[0] }),
    boolean: (name, options) => required(name, parseBoolean, { ...options, placeholder: false }),
    url: (name, options) => required(name, parseUrl(options?.schemes ?? ['http', 'https']), { ...options, placeholder: '' }),
    fault,
    finish: () => {
      if (faults.length > 0) {
        throw new ConfigError(faults);
      }
    },
  };
}

function readRaw(env: NodeJS.ProcessEnv, name: string, fault: (name: string, problem: string) => void): string | undefined {
  const direct = env[name] === '' ? undefined : env[name];
  const fileName = env[`${name}_FILE`];
  if (fileName === undefined || fileName === '') {
    return direct;
  }
  if (direct !== undefined) {
    fault(name, `is set together with ${name}_FILE: keep one of them`);
    return direct;
  }
  try {
    const content = readFileSync(fileName, 'utf8').replace(/\r?\n$/, '');
    return content === '' ? undefined : content;
  } catch (error) {
    fault(`${name}_FILE`, `cannot be read: ${messageOf(error)}`);
    return undefined;
  }
}

function parseInteger(options: { min?: number; max?: number } = {}): Parse<number> {
  const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = options;
  return (raw) => {
    const value = /^-?\d{1,16}$/.test(raw.trim()) ? Number(raw) : NaN;
    if (Number.isSafeInteger(value) && value >= min && value <= max) {
      return { value };
    }
    const low = options.min === undefined ? '' : ` from ${min}`;
    const high = options.max === undefined ? '' : ` up to ${max}`;
    return { problem: `must be a whole number${low}${high}` };
  };
}

function parseChoice<T extends string>(allowed: readonly T[]): Parse<T> {
  return (raw) => {
    const value = allowed.find((candidate) => candidate === raw.trim());
    return value === undefined ? { problem: `must be one of ${allowed.join(', ')}` } : { value };
  };
}

const parseBoolean: Parse<boolean> = (raw) => {
  const value = BOOLEANS[raw.trim().toLowerCase()];
  return value === undefined ? { problem: 'must be true or false' } : { value };
};

function parseUrl(schemes: string[]): Parse<string> {
  const problem = `must be a URL with the scheme ${schemes.join(' or ')}`;
  return (raw) => {
    const text = raw.trim();
    const scheme = URL.canParse(text) ? new URL(text).protocol.slice(0, -1) : '';
    return schemes.includes(scheme) ? { value: text.replace(/\/+$/, '') } : { problem };
  };
}
