import { readFileSync } from 'node:fs';
import { messageOf } from '../lib/errors';
import type { About, Setting } from './setting';

/** All faults of a configuration, as one line `NAME: what is wrong` each. Never contains the value of a secret. */
export class ConfigError extends Error {
  override name = 'ConfigError';
  constructor(readonly faults: string[]) {
    super(`the configuration is not usable:\n${faults.map((fault) => `  ${fault}`).join('\n')}`);
  }
}

interface ReadOptions<T> extends About {
  /** Used when the variable is absent or empty. Without it, the variable is required. */
  default?: T;
  /** True: the value is a secret, and faults never show it. */
  secret?: boolean;
}

interface NumberOptions extends ReadOptions<number> {
  unit: string;
  min?: number;
  max?: number;
}

type SecondsOptions = Omit<NumberOptions, 'unit' | 'default'> & { default: number };

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
  text(name: string, options: ReadOptions<string>): string;
  optionalText(name: string, options: About & { secret?: boolean }): string | undefined;
  integer(name: string, options: NumberOptions): number;
  /** A duration from 0.05 s to a day unless told otherwise. Fractions are allowed. */
  seconds(name: string, options: SecondsOptions): number;
  choice<T extends string>(name: string, allowed: readonly [T, ...T[]], options: ReadOptions<NoInfer<T>>): T;
  /** true/false, 1/0, yes/no, on/off in any case. */
  boolean(name: string, options: ReadOptions<boolean>): boolean;
  /** Returns the URL as written, without a trailing slash. */
  url(name: string, options: UrlOptions): string;
  /** Reads a variable that is no setting: a former name, or one that only tests set. It is not part of docs/settings.md. */
  undocumented(name: string): string | undefined;
  /** Records a fault that the caller found. */
  fault(name: string, problem: string): void;
  /** Throws one ConfigError with every fault. Does nothing when there is none. */
  finish(): void;
}

type Parse<T> = (raw: string) => { value: T } | { problem: string };

interface Rule<T> {
  type: string;
  parse: Parse<T>;
  placeholder: T;
  unit?: string;
}

const BOOLEANS: Record<string, boolean> = { true: true, '1': true, yes: true, on: true, false: false, '0': false, no: false, off: false };

/** Creates a reader over `env`. It reads files at once, and nothing else. `declare` gets each setting that is read. */
export function createEnvReader(env: NodeJS.ProcessEnv, declare: (setting: Setting) => void = () => undefined): EnvReader {
  const faults: string[] = [];
  const fault = (name: string, problem: string): void => void faults.push(`${name}: ${problem}`);
  const raw = (name: string): string | undefined => readRaw(env, name, fault);

  const optional = <T>(name: string, { parse }: Rule<T>, { former, secret = false }: ReadOptions<T>): T | undefined => {
    const text = (former === undefined ? undefined : raw(former)) ?? raw(name);
    const parsed = text === undefined ? undefined : parse(text);
    if (parsed !== undefined && 'problem' in parsed) {
      fault(name, secret ? parsed.problem : `${parsed.problem} (it is ${JSON.stringify(text)})`);
      return undefined;
    }
    return parsed?.value;
  };

  const required = <T>(name: string, rule: Rule<T>, options: ReadOptions<T>): T => {
    declare(toSetting(name, rule, { ...options, required: options.default === undefined }));
    const before = faults.length;
    const value = optional(name, rule, options) ?? options.default;
    if (value === undefined && faults.length === before) {
      fault(name, 'is required');
    }
    return value ?? rule.placeholder;
  };

  return {
    text: (name, options) => required(name, TEXT, options),
    optionalText: (name, options) => {
      declare(toSetting(name, TEXT, { ...options, required: false }));
      return optional(name, TEXT, options);
    },
    integer: (name, options) => required(name, integerRule(options), options),
    seconds: (name, options) => required(name, secondsRule(options), options),
    choice: (name, allowed, options) => required(name, choiceRule(allowed), options),
    boolean: (name, options) => required(name, BOOLEAN, options),
    url: (name, options) => required(name, urlRule(options.schemes ?? ['http', 'https']), options),
    undocumented: raw,
    fault,
    finish: () => {
      if (faults.length > 0) {
        throw new ConfigError(faults);
      }
    },
  };
}

function toSetting<T>(name: string, { type, unit }: Rule<T>, options: ReadOptions<T> & { required: boolean }): Setting {
  const { doc, roles, defaultDoc, former, required, secret } = options;
  const about = { doc, roles, ...(defaultDoc === undefined ? {} : { defaultDoc }), ...(former === undefined ? {} : { former }) };
  const fallback = options.default === undefined ? undefined : String(options.default);
  return { name, type: secret ? 'secret' : type, unit, default: fallback, required, ...about };
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

const TEXT: Rule<string> = { type: 'text', parse: (value) => ({ value }), placeholder: '' };

/** ` from 1 up to 10`, or a part of it. */
const rangeOf = ({ min, max }: { min?: number; max?: number }): string =>
  `${min === undefined ? '' : ` from ${min}`}${max === undefined ? '' : ` up to ${max}`}`;

function integerRule(options: NumberOptions): Rule<number> {
  const { unit, min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = options;
  const type = `whole number${rangeOf(options)}`;
  const parse: Parse<number> = (raw) => {
    const value = /^-?\d{1,16}$/.test(raw.trim()) ? Number(raw) : NaN;
    return Number.isSafeInteger(value) && value >= min && value <= max ? { value } : { problem: `must be a ${type}` };
  };
  return { type, unit, parse, placeholder: 0 };
}

function secondsRule({ default: fallback, min = 0.05, max = 86_400 }: SecondsOptions): Rule<number> {
  const type = `number from ${min} up to ${max}`;
  const parse: Parse<number> = (raw) => {
    const value = Number(raw);
    const problem = `must be a number of seconds from ${min} to ${max}`;
    return Number.isFinite(value) && value >= min && value <= max ? { value } : { problem };
  };
  return { type, unit: 's', parse, placeholder: fallback };
}

function choiceRule<T extends string>(allowed: readonly [T, ...T[]]): Rule<T> {
  const parse: Parse<T> = (raw) => {
    const value = allowed.find((candidate) => candidate === raw.trim());
    return value === undefined ? { problem: `must be one of ${allowed.join(', ')}` } : { value };
  };
  return { type: allowed.map((value) => `\`${value}\``).join(' '), parse, placeholder: allowed[0] };
}

const BOOLEAN: Rule<boolean> = {
  type: 'boolean',
  parse: (raw) => {
    const value = BOOLEANS[raw.trim().toLowerCase()];
    return value === undefined ? { problem: 'must be true or false' } : { value };
  },
  placeholder: false,
};

function urlRule(schemes: string[]): Rule<string> {
  const problem = `must be a URL with the scheme ${schemes.join(' or ')}`;
  const parse: Parse<string> = (raw) => {
    const text = raw.trim();
    const scheme = URL.canParse(text) ? new URL(text).protocol.slice(0, -1) : '';
    return schemes.includes(scheme) ? { value: text.replace(/\/+$/, '') } : { problem };
  };
  return { type: 'URL', parse, placeholder: '' };
}
