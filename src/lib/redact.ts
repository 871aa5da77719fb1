const SECRET_NAME = /pass(word|phrase)?|secret|token|credential|authorization|cookie|private_?key|jwt/i;
const HARMLESS_NAME = /^(token_?id|join_?token_?id|claim_?token|token_?name|tokens?_?(used|left|count))$/i;
/** Matches secrets by their shape in any text: JWTs, join tokens, one-time codes, node credentials, PEM private keys, crypt hashes. */
const SECRET_SHAPE = new RegExp(
  [
    'eyJ[\\w-]{8,}\\.[\\w-]{8,}\\.[\\w-]*',
    'orion_(?:join|node|code)_[\\w-]{16,}',
    '-----BEGIN [A-Z ]*PRIVATE KEY-----[\\s\\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)',
    '\\$(?:6|argon2id?)\\$[^\\s"\']{20,}',
  ].join('|'),
  'g',
);
const MASK = '[redacted]';
const MAX_DEPTH = 6;

/** Masks the secrets in a text. */
export function redactText(text: string): string {
  return text.replace(SECRET_SHAPE, MASK);
}

/** Returns a copy of `value` for a log. It masks secrets by field name and by shape, flattens errors, and limits the depth. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') {
    return redactText(value);
  }
  if (typeof value === 'bigint') {
    return value.toString();
  }
  if (typeof value !== 'object' || value === null || value instanceof Date) {
    return value;
  }
  if (depth >= MAX_DEPTH) {
    return '[deep]';
  }
  if (value instanceof Error) {
    return describeError(value, depth);
  }
  if (Array.isArray(value)) {
    return value.map((item) => redact(item, depth + 1));
  }
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      SECRET_NAME.test(name) && !HARMLESS_NAME.test(name) && item !== undefined && item !== null ? MASK : redact(item, depth + 1),
    ]),
  );
}

function describeError(error: Error, depth: number): unknown {
  const code = 'code' in error ? { code: error.code } : {};
  const cause = error.cause === undefined ? {} : { cause: redact(error.cause, depth + 1) };
  return { name: error.name, message: redactText(error.message), ...code, stack: redactText(error.stack ?? ''), ...cause };
}
