import { sshKeyLine } from '../../support/keys';
import type { Random } from '../random';
import type { JsonSchema } from './document';

/** Values that exist: what a valid request speaks of. */
export interface Stock {
  leases: number[];
  nodes: number[];
  keys: number[];
  tokens: number[];
  users: number[];
  joinToken: string;
}

/** Strings that have hurt somebody somewhere. */
const STRINGS = [
  '',
  ' ',
  '\u0000',
  'a\u0000b',
  '\n',
  'a\r\nX-Injected: 1',
  '\u001b[2J',
  '\u202e',
  '\ud800',
  '💥',
  'é',
  'İ',
  '%00',
  '%s%n',
  '../../etc/passwd',
  '; reboot',
  '$(reboot)',
  '`id`',
  '| id',
  "' OR '1'='1",
  '"; DROP TABLE users; --',
  "1' UNION SELECT password_hash FROM users --",
  '\\',
  '{{7*7}}',
  '${jndi:ldap://127.0.0.1/x}',
  '<script>alert(1)</script>',
  '-oProxyCommand=id',
  '__proto__',
  'constructor',
  'null',
  'NaN',
  '0',
  '1e308',
  'true',
  '{}',
  'x'.repeat(64),
  'x'.repeat(257),
  'x'.repeat(8193),
  'x'.repeat(40_000),
  'ssh-ed25519 AAAA',
  'command="id" ssh-ed25519 AAAA',
  '::1',
  '127.0.0.1',
  '0.0.0.0',
  'localhost',
];
/** As they stand in JSON: some of these are nothing that JSON.stringify would write. */
const LITERALS = [
  '0',
  '-1',
  '-0',
  '1',
  '1.5',
  '1e308',
  '-1e308',
  '1e999',
  '5e-324',
  '2147483648',
  '4294967296',
  '9007199254740991',
  '9007199254740993',
  '1e21',
  'null',
  'true',
  'false',
  '[]',
  '[[]]',
  '[1]',
  '{}',
  '{"__proto__":{"x":1}}',
  '{"constructor":{"prototype":{"x":1}}}',
  '{"$ne":null}',
  '"5"',
  'NaN',
  'Infinity',
  '01',
  '0x1',
];
const BODIES = [
  '',
  ' ',
  'null',
  'true',
  '0',
  '"x"',
  '[]',
  '[{}]',
  '{',
  '}',
  '{]',
  '{"a":1',
  '{"a":1,}',
  "{'a':1}",
  '{"a":1}{"a":2}',
  '{"__proto__":{"role":"admin"}}',
  '{"constructor":{"prototype":{"role":"admin"}}}',
  '\ufeff{}',
  '{}\u0000',
  '['.repeat(20_000),
  `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
  '{"a":'.repeat(8_000),
  `{${'"a":1,'.repeat(5_000)}"a":1}`,
  `{"a":"${'x'.repeat(66_000)}"}`,
];

/** What is sent for a member instead of its value: JSON as text, put in unread. */
export class Literal {
  constructor(readonly text: string) {}
}

/** JSON.stringify that puts literals in as they are. */
export function write(value: unknown): string {
  if (value instanceof Literal) {
    return value.text;
  }
  if (Array.isArray(value)) {
    return `[${value.map(write).join()}]`;
  }
  return typeof value === 'object' && value !== null
    ? `{${Object.entries(value)
        .map(([name, item]) => `${JSON.stringify(name)}:${write(item)}`)
        .join()}}`
    : JSON.stringify(value);
}

type Members = Record<string, unknown>;

export interface Values {
  /** What the schema allows. */
  valid(schema: JsonSchema, name: string): unknown;
  /** The same with one thing wrong, or nothing that is a body at all: as text. */
  nearlyValid(schema: JsonSchema): string;
  hostileBody(schema: JsonSchema): string;
  hostileString(): string;
}

export function createValues(random: Random, stock: () => Stock): Values {
  const bytes = (length: number): Buffer => Buffer.from(random.hex(length * 2), 'hex');
  const anId = (ids: number[]): number =>
    ids.length > 0 && random.chance(0.85) ? random.pick(ids) : random.pick([1, 2, 999_999, 9_007_199_254_740_991]);
  const aKey = (): string => sshKeyLine('ssh-ed25519', bytes(32)) + random.pick(['', '', ' ada@laptop']);

  /** Members whose schema says less than what makes sense. */
  const known: Record<string, () => unknown> = {
    ssh_public_key: aKey,
    public_key: aKey,
    host_key: aKey,
    hostname: () => `h-${random.hex(8)}`,
    address: () => random.pick(['127.0.0.1', '127.9.9.9', '::1', 'edge.example']),
    join_token: () => (random.chance(0.7) ? stock().joinToken : `orion_join_${random.hex(43)}`),
    labels: () => random.pick<Members>([{}, { zone: 'lab' }, { zone: 'lab', rack: '7' }]),
    username: () => `u${random.hex(10)}`,
    client_id: () => (random.chance(0.8) ? random.pick(stock().users) : random.pick(['nobody', 'operator', 999_999])),
    lease_id: () => anId(stock().leases),
    name: () => random.pick(['lab', 'my key', 'Ünïcode 💥']),
    host_key_fingerprint: () => `SHA256:${random.hex(43)}`,
    accounts: () => [],
    duration_hours: () => random.pick([0.001, 0.5, 1, 24, 8784]),
    duration_minutes: () => random.pick([0.001, 1, 60]),
  };

  const number = ({ type, minimum, maximum, exclusiveMinimum }: JsonSchema): number => {
    const low = Number(minimum ?? exclusiveMinimum ?? 0);
    const high = Math.min(Number(maximum ?? low + 1000), Number.MAX_SAFE_INTEGER);
    const value = random.pick([
      low + (exclusiveMinimum === undefined ? 0 : 0.5),
      high,
      low + 1,
      random.between(Math.ceil(low), Math.min(high, low + 1_000_000)),
    ]);
    return Math.min(high, type === 'integer' ? Math.round(value) : value);
  };
  const object = ({ properties, required = [] }: JsonSchema): Members => {
    const members = Object.entries((properties ?? {}) as Record<string, JsonSchema>);
    const made = Object.fromEntries(
      members
        .filter(([name]) => (required as string[]).includes(name) || random.chance(0.4))
        .map(([name, schema]) => [name, valid(schema, name)]),
    );
    // Of the two ways to say how long, exactly one.
    if ('duration_hours' in ((properties ?? {}) as Members) && 'duration_hours' in made === 'duration_minutes' in made) {
      delete made['duration_minutes'];
      made['duration_hours'] = known['duration_hours']?.();
    }
    return made;
  };
  const valid = (schema: JsonSchema, name: string): unknown => {
    const make = known[name];
    if (make) {
      return make();
    }
    if (Array.isArray(schema['enum'])) {
      return random.pick(schema['enum']);
    }
    if (Array.isArray(schema['anyOf'])) {
      return valid(random.pick(schema['anyOf'] as JsonSchema[]), name);
    }
    switch (schema['type']) {
      case 'object':
        return object(schema);
      case 'array':
        return [];
      case 'boolean':
        return random.chance(0.5);
      case 'number':
      case 'integer':
        return number(schema);
      default:
        return schema['format'] === 'date-time' ? '2026-01-02T03:04:05.678Z' : 'a text of no meaning';
    }
  };

  const nearlyValid = (schema: JsonSchema): string => {
    const body = valid(schema, '') as Members;
    const all = Object.entries((schema['properties'] ?? {}) as Record<string, JsonSchema>);
    if (all.length === 0) {
      return write({ surprise: 1 });
    }
    const [name, member] = random.pick(all);
    const without = Object.fromEntries(Object.entries(body).filter(([each]) => each !== name));
    const { maximum, minimum, maxLength, type } = member;
    return write(
      random.pick<Members>([
        without,
        { ...body, surprise: 1 },
        { ...body, [name]: null },
        { ...body, [name]: [body[name]] },
        { ...body, [name]: type === 'string' ? 1 : String(body[name]) },
        { ...body, [name]: typeof maximum === 'number' ? maximum + 1 : typeof maxLength === 'number' ? 'x'.repeat(maxLength + 1) : {} },
        { ...body, [name]: typeof minimum === 'number' ? minimum - 1 : '' },
        { ...body, [name.toUpperCase()]: body[name] ?? 1 },
      ]),
    );
  };
  const hostileString = (): string => random.pick(STRINGS);
  const hostileBody = (schema: JsonSchema): string => {
    const names = Object.keys(schema['properties'] ?? {});
    if (names.length === 0 || random.chance(0.25)) {
      return random.pick(BODIES);
    }
    const worse = random.chance(0.5) ? new Literal(random.pick(LITERALS)) : hostileString();
    return write({ ...(valid(schema, '') as Members), [random.pick(names)]: worse });
  };
  return { valid, nearlyValid, hostileBody, hostileString };
}
