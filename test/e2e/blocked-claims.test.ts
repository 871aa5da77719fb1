import { describe, expect, it } from '@jest/globals';
import mysql from 'mysql2/promise';
import { eventually } from '../lab';
import { useSystem, useTenant } from '../support/hooks';

const POOL = 4;
const LIMIT_MS = 1_000;

const system = useSystem({ apis: 1, schedulers: 0, env: { ORION_DB_POOL: String(POOL) } });
const tenant = useTenant(system);

/** Keeps the user's row, for which every rent of that user waits, until `work` is done. */
async function whileLocked(work: () => Promise<void>): Promise<void> {
  const locker = await mysql.createConnection(system.access);
  try {
    await locker.beginTransaction();
    await locker.query('SELECT id FROM users WHERE id = ? FOR UPDATE', [tenant.userId]);
    await work();
  } finally {
    await locker.end();
  }
}

const look = (path: string): Promise<{ status: number }> =>
  path.startsWith('/api/')
    ? tenant.client.get(path)
    : fetch(`${system.apis[0]?.opsUrl ?? ''}${path}`, { signal: AbortSignal.timeout(30_000) });

const waiting = async (): Promise<number> =>
  Number(
    (
      await system.sql<{ n: number }>(
        "SELECT COUNT(*) AS n FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE '%FROM users WHERE id IN % FOR UPDATE'",
      )
    )[0]?.n,
  );

describe('while more claims are blocked than the pool has connections', () => {
  it.each([['/readyz'], ['/metrics'], ['/api/leases'], ['/api/nodes'], ['/api/keys'], ['/api/me']])(
    '%s answers at once',
    async (path) => {
      await whileLocked(async () => {
        const rents = Array.from({ length: 3 * POOL }, () => tenant.rent().catch(() => undefined));
        await eventually(async () => (await waiting()) >= POOL, { what: 'the whole pool waits for the row', timeoutMs: 15_000 });
        const begun = performance.now();
        const { status } = await look(path);
        expect({ status, late: performance.now() - begun > LIMIT_MS }).toEqual({ status: 200, late: false });
        void Promise.all(rents);
      });
    },
    60_000,
  );
});
