import type { Random } from '../random';
import { CALLERS, type Caller, type Cast } from './cast';
import type { HttpRequest } from './client';
import type { Operation, Parameter } from './document';
import type { Values } from './values';

export type Nature = 'valid' | 'nearly valid' | 'hostile';

/** One generated request, and what is known of it. */
export interface Planned {
  operation: Operation;
  nature: Nature;
  caller: Caller;
  request: HttpRequest;
  /** The body is read as JSON: nothing about its type or encoding was made wrong. */
  plainJson: boolean;
}

export interface RequestDeps {
  random: Random;
  operations: Operation[];
  cast: Cast;
  values: Values;
}

/** Hashing a password takes as long as fifty other requests, and a page of new accounts is of no use. */
const RARE: Record<string, number> = {
  '/api/signup': 1,
  '/api/login': 1,
  '/api/register': 4,
  '/api/workers/register': 4,
  '/api/nodes/stream': 3,
};
const USUAL_WEIGHT = 10;
const ODD_IDS = [
  '0',
  '-1',
  '+1',
  '1e3',
  '0x1',
  '1.0',
  '1;DROP',
  '%00',
  '%ff',
  '%',
  '..',
  '%2e%2e',
  'NaN',
  '__proto__',
  '9007199254740993',
  '1'.repeat(40),
  '%20',
  "'",
  '%F0%9F%92%A5',
];
const ODD_TYPES = [
  '',
  'text/plain',
  'application/xml',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/json; charset=utf-16',
  'application/json; charset=latin1',
  'application/json; charset=',
  'application/json;;;',
  'json',
];
const ODD_ENCODINGS = ['gzip', 'br', 'deflate', 'gzip, gzip', 'zstd', 'rot13', ''];
const ODD_KEYS = ['x'.repeat(129), 'x'.repeat(10_000), 'a b', '', 'sch\u00fcssel', '" or 1=1', '{}'];
const GOOD_CALLERS: Record<Operation['access'], readonly Caller[]> = {
  public: CALLERS,
  user: ['ada', 'bob', 'admin', 'admin'],
  node: ['worker'],
};
const ROLE_ROUTES = /^\/api\/(?:users|tokens|nodes\/\{id\})/;

/** For a URL. Through a buffer, for half of a surrogate pair cannot be escaped. */
const escaped = (text: string): string => encodeURIComponent(Buffer.from(text).toString());

/** Makes requests out of the document, each another. What is chosen, decides `random`. */
export function createRequests({ random, operations, cast, values }: RequestDeps): () => Planned {
  const lots = operations.flatMap((operation) => Array<Operation>(RARE[operation.path] ?? USUAL_WEIGHT).fill(operation));
  let count = 0;

  const idFor = (path: string): number => {
    const { leases, nodes, keys, tokens, users } = cast.stock;
    const [, kind = ''] = /^\/api\/(\w+)/.exec(path) ?? [];
    const ids = { leases, nodes, keys, tokens, users }[kind] ?? [];
    return ids.length > 0 && random.chance(0.85) ? random.pick(ids) : 999_999;
  };
  const pathOf = ({ path }: Operation, nature: Nature): string => {
    const odd =
      nature === 'hostile' && random.chance(0.5)
        ? random.pick([...ODD_IDS, escaped(values.hostileString()).slice(0, 2000) || '%20'])
        : undefined;
    return path.replace('{id}', odd ?? String(idFor(path)));
  };
  const queryOf = ({ parameters }: Operation, nature: Nature): string => {
    const value = ({ schema, name }: Parameter): string => {
      if (nature === 'valid') {
        return encodeURIComponent(String(name === 'cursor' ? random.between(0, 50) : values.valid(schema, name)));
      }
      return random.pick([...ODD_IDS.filter((text) => text !== '%'), '', '0', '501', 'all', escaped(values.hostileString()).slice(0, 500)]);
    };
    const given = parameters
      .filter(({ in: where }) => where === 'query' && random.chance(0.4))
      .map((parameter) => `${parameter.name}=${value(parameter)}`);
    return given.length === 0 ? '' : `?${given.join('&')}`;
  };
  const bodyOf = ({ body }: Operation, nature: Nature): string | undefined => {
    if (!body) {
      return nature === 'hostile' && random.chance(0.3) ? values.hostileBody({}) : undefined;
    }
    return nature === 'valid'
      ? JSON.stringify(values.valid(body, ''))
      : nature === 'nearly valid'
        ? values.nearlyValid(body)
        : values.hostileBody(body);
  };
  const callerOf = ({ access, path }: Operation): Caller => {
    if (random.chance(0.25)) {
      return random.pick(CALLERS);
    }
    return access === 'user' && ROLE_ROUTES.test(path) ? 'admin' : random.pick(GOOD_CALLERS[access]);
  };

  return () => {
    const operation = random.pick(lots);
    const nature = random.pick<Nature>(['valid', 'valid', 'nearly valid', 'hostile', 'hostile']);
    const caller = callerOf(operation);
    const bearer = cast.bearerOf(caller);
    const body = bodyOf(operation, nature);
    const oddly = nature === 'hostile' && random.chance(0.1);
    const headers: Record<string, string> = {
      'X-Request-Id': `chaos-${++count}`,
      ...(bearer === undefined ? {} : { Authorization: `Bearer ${bearer}` }),
      ...(body === undefined ? {} : { 'Content-Type': oddly ? random.pick(ODD_TYPES) : 'application/json' }),
      ...(oddly && random.chance(0.3) ? { 'Content-Encoding': random.pick(ODD_ENCODINGS) } : {}),
      ...(nature === 'hostile' && random.chance(0.1) ? { 'X-Forwarded-For': random.pick(['$(id)', '::1', 'x'.repeat(300)]) } : {}),
      ...(/rent|extend/.test(operation.path) && random.chance(0.3)
        ? { 'Idempotency-Key': nature === 'hostile' ? random.pick(ODD_KEYS) : `key-${random.between(0, 500)}` }
        : {}),
    };
    const path = pathOf(operation, nature) + queryOf(operation, nature);
    return {
      operation,
      nature,
      caller,
      plainJson: !oddly,
      request: { method: operation.method, path, headers, ...(body === undefined ? {} : { body }), untilFirstByte: true },
    };
  };
}
