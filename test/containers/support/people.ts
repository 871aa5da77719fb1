import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lease, NodeForAdmin, Page, Rented } from '../../../src/contract';
import { createClient, type Client, expectStatus } from '../../../scripts/demo/api';
import { type Container, eventually, generateSshKeyPair, type Lab, type SshKeyPair, type Stack } from '../../lab';

/** Somebody who uses a stack through its proxy. */
export interface User {
  client: Client;
  token: string;
  key: SshKeyPair;
}

export function openClient(stack: Stack): Client {
  return createClient(stack.httpsUrl, { ca: readFileSync(stack.caFile, 'utf8') });
}

export async function logInAsOperator(stack: Stack): Promise<Client> {
  const password = 'an operator of the test';
  await stack.orion(['admin', 'create', 'operator', '--password-stdin'], `${password}\n`);
  const client = openClient(stack);
  return client.as(expectStatus(await client.post<{ token: string }>('/api/login', { username: 'operator', password }), 200).token);
}

export async function signUp(lab: Lab, stack: Stack, username: string): Promise<User> {
  const credentials = { username, password: `${username} likes long passwords` };
  const client = openClient(stack);
  expectStatus(await client.post('/api/signup', credentials), 201);
  const { token } = expectStatus(await client.post<{ token: string }>('/api/login', credentials), 200);
  return { token, client: client.as(token), key: await generateSshKeyPair(join(lab.dir, 'people', username), username) };
}

export async function rent({ client, key }: User, idempotencyKey: string): Promise<Lease> {
  const answer = await client.post<Rented>(
    '/api/rent',
    { duration_minutes: 60, ssh_public_key: key.publicKey },
    { 'Idempotency-Key': idempotencyKey },
  );
  const [lease] = expectStatus(answer, 201).leases;
  if (!lease) {
    throw new Error('a rent was answered without a lease');
  }
  return lease;
}

export async function listRunning({ client }: User): Promise<Lease[]> {
  return expectStatus(await client.get<Page<Lease>>('/api/leases?running=true&limit=100'), 200).items;
}

export async function untilFree(operator: Client, count: number): Promise<void> {
  const free = async (): Promise<boolean> =>
    expectStatus(await operator.get<Page<NodeForAdmin>>('/api/nodes?limit=100'), 200).items.filter((node) => node.free).length >= count;
  await eventually(free, { what: `${count} nodes are free`, timeoutMs: 120_000, everyMs: 500 });
}

/** Requests that one replica of the API has served, as it counts them. */
export async function countServed({ address }: Container, route: string): Promise<number> {
  const text = await (await fetch(`http://${address}:9464/metrics`)).text();
  const lines = text
    .split('\n')
    .filter((line) => line.startsWith('orion_http_request_duration_seconds_count{') && line.includes(`route="${route}"`));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}
