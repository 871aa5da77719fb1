import { isDeepStrictEqual } from 'node:util';
import { problem } from '../../src/contract';
import { ENDPOINTS } from '../../src/contract/endpoints';
import type { Endpoint } from '../../src/contract';

const endpoints: { endpoint: Endpoint; path: RegExp }[] = ENDPOINTS.map((endpoint) => ({ endpoint, path: new RegExp(`^${endpoint.path.replace(/\{\w+\}/g, '[^/]+')}$`) }));

/** Made of objects of this realm: what `fetch` gives in a test is not. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown;

/** Throws unless the body is what the contract promises of this answer, no member less and none more. Calls that the contract does not have are not looked at. */
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
