import { spawn } from 'node:child_process';
import { eventually, type RunResult, type SshExecOptions, type SshKeyPair, sshExec, sshOptions, type SshTarget } from '../lab';
import type { Lease, LeaseDetail, Rented } from '../../src/contract';
import { type Answer, type ApiClient, expectStatus } from './api-client';

export interface RentOptions {
  /** Default 600. */
  seconds?: number;
  count?: number;
  key?: string;
  requirements?: object;
  /** URL of the replica to call. Default: the tenant's own. */
  at?: string;
}

/** A platform user with a key pair. */
export interface Tenant {
  userId: number;
  client: ApiClient;
  keyFile: string;
  publicKey: string;
  /** Returns the answer, whatever its status. */
  rent(options?: RentOptions): Promise<Answer<Rented>>;
  /** Rents one lease and returns it when it is active. Throws when that fails. */
  rentOne(options?: RentOptions): Promise<Lease>;
  lease(id: number): Promise<LeaseDetail>;
  /** Polls the lease until `is` returns true, and returns it. */
  untilLease(id: number, what: string, is: (lease: LeaseDetail) => boolean, timeoutMs?: number): Promise<LeaseDetail>;
  /** Logs in with OpenSSH, and accepts only the host key from the answer. */
  login(lease: Lease, command: string, options?: SshExecOptions): Promise<RunResult>;
  /** Opens a session that runs `sleep`. */
  openSession(lease: Lease): Promise<OpenSession>;
  extend(id: number, seconds: number): Promise<Lease>;
  release(id: number): Promise<Lease>;
}

export interface OpenSession {
  isOpen(): boolean;
  close(): void;
}

export function createTenant(userId: number, client: ApiClient, { keyFile, publicKey }: SshKeyPair): Tenant {
  const target = ({ access, id }: Lease): SshTarget => {
    if (!access) {
      throw new Error(`lease ${id} has no access`);
    }
    return { address: access.host, port: access.port, user: access.username, hostKey: access.host_key, keyFile };
  };
  const rent = ({ seconds = 600, count = 1, key, at, requirements }: RentOptions = {}): Promise<Answer<Rented>> =>
    (at === undefined ? client : client.at(at)).post<Rented>(
      '/api/rent',
      { duration_minutes: seconds / 60, count, ssh_public_key: publicKey, ...(requirements ? { requirements } : {}) },
      key === undefined ? {} : { 'Idempotency-Key': key },
    );
  const lease = async (id: number): Promise<LeaseDetail> => expectStatus(await client.get<LeaseDetail>(`/api/leases/${id}`), 200);
  return {
    userId,
    client,
    keyFile,
    publicKey,
    rent,
    lease,
    rentOne: async (options) => {
      const [first] = expectStatus(await rent(options), 201).leases;
      if (!first) {
        throw new Error('a rent without a lease');
      }
      return first;
    },
    untilLease: (id, what, is, timeoutMs = 30_000) => {
      const asked = async (): Promise<LeaseDetail> => {
        const now = await lease(id);
        if (!is(now)) {
          throw new Error(
            `it is ${now.state}, generation ${now.generation}, on ${JSON.stringify(now.node)}; placements ${JSON.stringify(now.placements)}`,
          );
        }
        return now;
      };
      return eventually(asked, { what: `lease ${id} ${what}`, timeoutMs, everyMs: 50 });
    },
    login: (to, command, options) => sshExec(target(to), command, options),
    openSession: (to) => openSession(target(to)),
    extend: async (id, seconds) =>
      expectStatus(await client.post<Lease>('/api/extend', { lease_id: id, duration_minutes: seconds / 60 }), 200),
    release: async (id) => expectStatus(await client.post<Lease>('/api/release', { lease_id: id }), 200),
  };
}

export async function openSession(target: SshTarget): Promise<OpenSession> {
  const child = spawn('ssh', [...sshOptions(target), `${target.user}@${target.address}`, 'echo open; exec sleep 600'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let said = '';
  let open = true;
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  child.once('exit', () => (open = false));
  await eventually(() => said.includes('open') || !open, { what: 'the session is open' });
  return { isOpen: () => open, close: () => void child.kill('SIGKILL') };
}
