import { isDeepStrictEqual } from 'node:util';
import { problem } from '../../src/contract';
import { ENDPOINTS } from '../../src/contract/endpoints';
import type { Endpoint } from '../../src/contract';

const endpoints: { endpoint: Endpoint; path: RegExp }[] = ENDPOINTS.map((endpoint) => ({
  endpoint,
  path: new RegExp(`^${endpoint.path.replace(/\{\w+\}/g, '[^/]+')}$`),
}));

/** Copies a value into objects of this realm; the objects that `fetch` returns in a test are of another realm. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown;

/** Throws unless the body has exactly the members that the contract promises for this answer. Skips calls that are not in the contract. */
export function checkAnswer({ method, path, status, body }: { method: string; path: string; status: number; body: unknown }): void {
  const [address = ''] = path.split('?');
  const { endpoint } = endpoints.find((each) => each.endpoint.method === method.toLowerCase() && each.path.test(address)) ?? {};
  const schema = status >= 400 ? problem : endpoint?.answers[status]?.schema;
  if (!endpoint || !schema) {
    return;
  }
  const parsed = schema.safeParse(body);
  if (!parsed.success) {
    throw new Error(`${method} ${path} answered ${status} with what its contract does not allow: ${parsed.error.message}`);
  }
  if (!isDeepStrictEqual(plain(parsed.data), plain(body))) {
    throw new Error(`${method} ${path} answered ${status} with members that its contract does not have: ${JSON.stringify(body)}`);
  }
}
