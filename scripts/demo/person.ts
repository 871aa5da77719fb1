import { join } from 'node:path';
import { generateSshKeyPair, type RunResult, type SshKeyPair, sshExec, type SshTarget } from '../../test/lab';
import type { Lease, Page, Rented } from '../../src/contract';
import { type Answer, type Client, expectStatus } from './api';
import type { Stage } from './stage';

/** Somebody with an account and a key pair. */
export interface Person {
  name: string;
  password: string;
  client: Client;
  key: SshKeyPair;
}

export interface Wish {
  minutes: number;
  count?: number;
  idempotencyKey?: string;
}

export async function createPerson({ lab, anonymous }: Stage, name: string): Promise<Person> {
  const password = `${name} likes long passwords`;
  expectStatus(await anonymous.post('/api/signup', { username: name, password }), 201);
  return {
    name,
    password,
    client: await logIn(anonymous, name, password),
    key: await generateSshKeyPair(join(lab.dir, 'people', name), name),
  };
}

export async function logIn(anonymous: Client, username: string, password: string): Promise<Client> {
  const { token } = expectStatus(await anonymous.post<{ token: string }>('/api/login', { username, password }), 200);
  return anonymous.as(token);
}

/** The bare answer, whatever its status. */
export function rent<T = Rented>({ client, key }: Person, { minutes, count = 1, idempotencyKey }: Wish): Promise<Answer<T>> {
  const headers = idempotencyKey === undefined ? undefined : { 'Idempotency-Key': idempotencyKey };
  return client.post<T>('/api/rent', { duration_minutes: minutes, count, ssh_public_key: key.publicKey }, headers);
}

export async function rentOne(person: Person, minutes: number): Promise<Lease> {
  return onlyOne(expectStatus(await rent(person, { minutes }), 201).leases);
}

export function onlyOne(leases: Lease[]): Lease {
  const [lease] = leases;
  if (!lease || leases.length > 1) {
    throw new Error(`there should be one lease, there are ${leases.length}`);
  }
  return lease;
}

export async function getLease({ client }: Person, id: number): Promise<Lease> {
  return expectStatus(await client.get<Lease>(`/api/leases/${id}`), 200);
}

export async function listRunning({ client }: Person): Promise<Lease[]> {
  return expectStatus(await client.get<Page<Lease>>('/api/leases?running=true'), 200).items;
}

export async function release({ client }: Person, lease: Lease): Promise<void> {
  expectStatus(await client.post('/api/release', { lease_id: lease.id }), 200);
}

/** How OpenSSH gets in: with this key, to the machine with this host key and no other. */
export function targetOf({ key }: Person, { id, access }: Lease): SshTarget {
  if (!access) {
    throw new Error(`lease ${id} has no account now`);
  }
  return { address: access.host, port: access.port, user: access.username, hostKey: access.host_key, keyFile: key.keyFile };
}

/** The way that stays the same wherever the lease is. */
export function throughGateway({ key }: Person, { id, gateway }: Lease): SshTarget {
  if (!gateway) {
    throw new Error(`lease ${id} knows no gateway`);
  }
  return { address: gateway.host, port: gateway.port, user: gateway.username, hostKey: gateway.host_key, keyFile: key.keyFile };
}

/** Runs a command over SSH and returns what it printed; throws when the login or the command fails. */
export async function overSsh(person: Person, lease: Lease, command: string): Promise<string> {
  const { code, stdout, stderr }: RunResult = await sshExec(targetOf(person, lease), command);
  if (code !== 0) {
    throw new Error(`${person.name}'s ssh ended with ${code ?? 'no answer'}: ${stderr.trim()}`);
  }
  return stdout.trim();
}

export function hostOf({ node, id }: Lease): { id: number; hostname: string } {
  if (!node) {
    throw new Error(`lease ${id} is on no machine`);
  }
  return node;
}
