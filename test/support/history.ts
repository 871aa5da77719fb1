import type { Operation } from '../checker/evidence';
import type { Lease, Page, Problem, Rented } from '../../src/contract';
import type { Answer } from './api-client';
import type { RentOptions, Tenant } from './tenant';

/**
 * Records the requests of clients and their answers, for the checker. The times are from this machine's clock, which the database uses too.
 */
export interface History {
  operations: Operation[];
  /** Returns the answer, or undefined when none came: the operation may or may not have happened. */
  rent(tenant: Tenant, options?: RentOptions): Promise<Answer<Rented> | undefined>;
  extend(tenant: Tenant, order: { leaseId: number; seconds: number; key?: string; at?: string }): Promise<Answer<Lease> | undefined>;
  release(tenant: Tenant, order: { leaseId: number; at?: string }): Promise<Answer<Lease> | undefined>;
  look(tenant: Tenant, leaseId: number): Promise<Answer<Lease> | undefined>;
  list(tenant: Tenant): Promise<Answer<Page<Lease>> | undefined>;
}

/** Error codes that mean for certain that nothing was done. */
const CERTAIN = new Set(['no_node_free', 'provisioning_failed']);

export function createHistory(): History {
  const operations: Operation[] = [];
  const record = async <T>(
    what: Pick<Operation, 'kind' | 'userId' | 'leaseId' | 'key'>,
    ask: () => Promise<Answer<T>>,
    leasesOf: (body: T) => Lease[],
  ): Promise<Answer<T> | undefined> => {
    const operation: Operation = { ...what, outcome: 'unknown', leases: [], invokedAt: Date.now(), returnedAt: null };
    operations.push(operation);
    const answer = await ask().catch(() => undefined);
    operation.returnedAt = Date.now();
    if (answer && answer.status < 300) {
      operation.outcome = 'ok';
      operation.leases = leasesOf(answer.body).map(({ id, ends_at: endsAt }) => ({ id, endsAt: Date.parse(endsAt) }));
    } else if (answer && (answer.status < 500 || CERTAIN.has((answer.body as Problem | undefined)?.code ?? ''))) {
      operation.outcome = 'fail';
    }
    return answer;
  };
  const at = (tenant: Tenant, url: string | undefined): Tenant['client'] => (url === undefined ? tenant.client : tenant.client.at(url));
  return {
    operations,
    rent: (tenant, options = {}) =>
      record(
        { kind: 'rent', userId: tenant.userId, leaseId: null, key: options.key ?? null },
        () => tenant.rent(options),
        ({ leases }) => leases,
      ),
    extend: (tenant, { leaseId, seconds, key, at: url }) =>
      record(
        { kind: 'extend', userId: tenant.userId, leaseId, key: key ?? null },
        () =>
          at(tenant, url).post<Lease>(
            '/api/extend',
            { lease_id: leaseId, duration_minutes: seconds / 60 },
            key === undefined ? {} : { 'Idempotency-Key': key },
          ),
        (lease) => [lease],
      ),
    release: (tenant, { leaseId, at: url }) =>
      record(
        { kind: 'release', userId: tenant.userId, leaseId, key: null },
        () => at(tenant, url).post<Lease>('/api/release', { lease_id: leaseId }),
        (lease) => [lease],
      ),
    look: (tenant, leaseId) =>
      record(
        { kind: 'look', userId: tenant.userId, leaseId, key: null },
        () => tenant.client.get<Lease>(`/api/leases/${leaseId}`),
        (lease) => [lease],
      ),
    list: (tenant) =>
      record(
        { kind: 'look', userId: tenant.userId, leaseId: null, key: null },
        () => tenant.client.get<Page<Lease>>('/api/leases'),
        ({ items }) => items,
      ),
  };
}
