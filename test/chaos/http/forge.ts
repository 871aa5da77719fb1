import { createHmac } from 'node:crypto';
import jwt from 'jsonwebtoken';
import type { Random } from '../random';

export interface Forged {
  /** What was done, for the report. */
  how: string;
  /** For `Authorization: Bearer`. Nobody may be let in with it. */
  token: string;
}

export interface ForgeryOptions {
  /** The real one: needed to sign what is wrong in other ways, and to be close to it with false ones. */
  key: string;
  /** A user that exists, and one that has more rights. */
  userId: number;
  adminId: number;
  /** Seconds since the epoch. */
  now: number;
}

type Claims = Record<string, unknown>;

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const UUID = '2f1a3c1e-6f0f-4e1e-9d8e-1b2c3d4e5f60';

const encoded = (value: unknown): string => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const partsOf = (token: string): [string, string, string] => token.split('.') as [string, string, string];

function hmac(head: string, key: string | Buffer, algorithm = 'sha256'): string {
  return `${head}.${createHmac(algorithm, key).update(head).digest('base64url')}`;
}

/** Makes tokens that are forged or edited, each time another; which, decides `random`. */
export function createForger(random: Random, { key, userId, adminId, now }: ForgeryOptions): () => Forged {
  const claims = (change: Claims = {}): Claims => ({
    sub: String(userId),
    jti: UUID,
    iss: 'orion',
    aud: 'orion-api',
    iat: now,
    exp: now + 3600,
    ...change,
  });
  const header = (change: Claims = {}): Claims => ({ alg: 'HS256', typ: 'JWT', ...change });
  const good = (): string => jwt.sign(claims({ jti: `${random.hex(8)}-6f0f-4e1e-9d8e-1b2c3d4e5f60` }), key, { algorithm: 'HS256' });
  const signed = (head: unknown, payload: unknown, by: string | Buffer = key): string => hmac(`${encoded(head)}.${encoded(payload)}`, by);
  const resigned = (change: Claims): string => signed(header(), claims(change));

  const flipBit = (part: 0 | 1 | 2): string => {
    const parts = partsOf(good());
    const bytes = Buffer.from(parts[part], 'base64url');
    const at = random.between(0, bytes.length - 1);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.between(0, 7));
    parts[part] = bytes.toString('base64url');
    return parts.join('.');
  };
  const changeLetter = (): string => {
    const token = good();
    const at = random.between(0, token.length - 1);
    const letter = random.pick(Array.from(ALPHABET).filter((each) => each !== token[at]));
    return `${token.slice(0, at)}${letter}${token.slice(at + 1)}`;
  };
  // The last letter of 32 bytes in base64 carries two bits that mean nothing: other letters give the same bytes.
  const sameBytes = (): string => {
    const token = good();
    const last = ALPHABET.indexOf(token.at(-1) ?? 'A');
    return token.slice(0, -1) + (ALPHABET[last ^ random.between(1, 3)] ?? '');
  };
  const falseKey = (): string =>
    random.pick([
      '',
      ' ',
      'secret',
      'orion',
      key.slice(1),
      `${key} `,
      `${key}\n`,
      Array.from(key).reverse().join(''),
      key.toUpperCase() === key ? key.toLowerCase() : key.toUpperCase(),
      random.hex(64),
    ]);
  const spelled = (name: string): string =>
    Array.from(name, (letter) => (random.chance(0.5) ? letter.toUpperCase() : letter.toLowerCase())).join('');
  const withoutSignature = (payload: Claims): string => `${encoded(header({ alg: spelled('none') }))}.${encoded(payload)}`;
  const payloadInstead = (change: Claims): string => {
    const [head, payload, tail] = partsOf(good());
    return [head, encoded({ ...(JSON.parse(Buffer.from(payload, 'base64url').toString()) as Claims), ...change }), tail].join('.');
  };
  const attackersKey = { kty: 'oct', k: encoded('mine'), alg: 'HS256' };

  const crafts: Record<string, () => string> = {
    'a bit of the header': () => flipBit(0),
    'a bit of the payload': () => flipBit(1),
    'a bit of the signature': () => flipBit(2),
    'a letter': changeLetter,
    'a letter that means the same bytes': sameBytes,
    'cut off': () => {
      const token = good();
      return token.slice(0, random.between(1, token.length - 1));
    },
    'made longer': () => `${good()}${random.pick(['A', '=', '==', '.', '.A', 'AAAA', '%00', '%3D'])}`,
    'its front cut off': () => good().slice(random.between(1, 30)),
    'parts in another order': () => {
      const [a, b, c] = partsOf(good());
      return random
        .pick([
          [b, a, c],
          [a, c, b],
          [c, b, a],
          [a, a, c],
          [a, b, b],
          [a, '', c],
          ['', b, c],
          [a, b, ''],
          [a, b],
          [a, b, c, c],
          [a, b, c, '', c],
        ])
        .join('.');
    },
    'the signature of another': () => {
      const [a, b] = partsOf(good());
      return [a, b, partsOf(good())[2]].join('.');
    },
    'another payload under the signature': () =>
      payloadInstead(
        random.pick<Claims>([
          { sub: String(adminId) },
          { exp: now + 9_999_999 },
          { role: 'admin' },
          { aud: ['orion-api', 'x'] },
          { jti: UUID.replace('2', '3') },
        ]),
      ),
    'no algorithm': () =>
      `${withoutSignature(claims(random.pick<Claims>([{}, { sub: String(adminId) }])))}.${random.pick(['', partsOf(good())[2], 'AA'])}`,
    'no algorithm and two parts': () => withoutSignature(claims()),
    'another algorithm of the family': () => {
      const bits = random.pick(['384', '512'] as const);
      return hmac(`${encoded(header({ alg: `HS${bits}` }))}.${encoded(claims())}`, key, `sha${bits}`);
    },
    'an asymmetric algorithm over the key': () =>
      signed(header({ alg: random.pick(['RS256', 'RS512', 'ES256', 'PS256', 'EdDSA']) }), claims()),
    'an algorithm that is none': () =>
      signed(
        header({ alg: random.pick<unknown>(['hs256', 'HS256 ', '', null, 0, ['HS256'], { alg: 'HS256' }, 'sha256', 'HS1', undefined]) }),
        claims(),
      ),
    'another key': () => signed(header(), claims(), falseKey()),
    'another key, named by kid': () =>
      signed(
        header({
          kid: random.pick([
            '../../../../dev/null',
            "x' UNION SELECT '",
            '/proc/sys/kernel/randomize_va_space',
            'file:///etc/passwd',
            '0',
            '__proto__',
            '|id',
          ]),
        }),
        claims(),
        random.pick(['', '2', 'mine']),
      ),
    'a key that it brings along': () =>
      signed(
        header(
          random.pick<Claims>([
            { jwk: attackersKey },
            { jku: 'http://127.0.0.1:1/keys' },
            { x5u: 'http://127.0.0.1:1/cert' },
            { x5c: [encoded('mine')] },
          ]),
        ),
        claims(),
        'mine',
      ),
    'no expiry': () => resigned({ exp: undefined }),
    'an expiry that has passed': () => resigned({ exp: now - random.between(1, 1e6) }),
    'an expiry that is no number': () =>
      resigned({ exp: random.pick<unknown>([String(now + 60), null, true, {}, [now + 60], 'never', 0, -1]) }),
    'not valid yet': () => resigned({ nbf: now + random.between(100, 1e6) }),
    'another issuer': () => resigned({ iss: random.pick<unknown>([undefined, '', 'Orion', 'orion ', 'other', null, ['orion'], {}, 0]) }),
    'another audience': () =>
      resigned({
        aud: random.pick<unknown>([undefined, '', 'orion', 'orion-api ', 'Orion-API', [], ['other'], null, { 0: 'orion-api' }, 1]),
      }),
    'a subject that nobody has': () =>
      resigned({
        sub: random.pick<unknown>([
          undefined,
          null,
          '',
          '0',
          '-1',
          '999999999',
          '9'.repeat(16),
          '1 OR 1=1',
          '1;',
          '1e0',
          '0x1',
          ' 1',
          `${userId} `,
          `${userId}\n`,
          [String(userId)],
          { $ne: 0 },
          true,
        ]),
      }),
    'a subject that is a number': () => resigned({ sub: userId }),
    'no id of its own': () => resigned({ jti: random.pick<unknown>([undefined, null, '', 'x', 1, [UUID], `${UUID}'`, '%']) }),
    'a payload that is no object': () =>
      signed(header(), random.pick<unknown>(['null', '[]', '"x"', '1', '', '{', '[[[[', `{"sub":"${userId}"`, '\u0000'])),
    'a header that is no object': () =>
      signed(random.pick<unknown>(['null', '[]', '"HS256"', '1', '', '{', '{"alg":"none","alg":"HS256"', '{"alg":"HS256"']), claims()),
    'two algorithms': () => hmac(`${encoded(`{"alg":"HS256","typ":"JWT","alg":"${spelled('none')}"}`)}.${encoded(claims())}`, 'mine'),
    'a header that demands what nobody knows': () => signed(header({ crit: ['exp'], b64: false }), claims(), 'mine'),
    'five parts': () => [encoded({ alg: 'dir', enc: 'A256GCM' }), '', encoded('iv'), encoded(claims()), encoded('tag')].join('.'),
    'no token at all': () =>
      random.pick([
        'null',
        'undefined',
        '{}',
        '..',
        '...',
        '.',
        'a.b.c',
        'orion_node_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
        'orion_join_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
        'x'.repeat(8000),
        random.hex(random.between(1, 200)),
      ]),
  };
  const names = Object.keys(crafts);
  let made = 0;
  return () => {
    // Every craft in turn, so that each gets its share of any number.
    const how = names[made++ % names.length] ?? '';
    return { how, token: crafts[how]?.() ?? '' };
  };
}
