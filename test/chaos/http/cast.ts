import { createDatabase } from '../../../src/db/connection';
import { execute, selectFirst, selectRows } from '../../../src/db/sql';
import { transaction } from '../../../src/db/transaction';
import { issueAccessToken, type User } from '../../../src/modules/accounts';
import { aLeaseIn, aNode, aUser, type TestNode } from '../../support/builders';
import type { System } from '../../support/system';
import type { Random } from '../random';
import type { Stock } from './values';

export type Caller = 'nobody' | 'garbage' | 'ada' | 'bob' | 'admin' | 'worker';
export const CALLERS: readonly Caller[] = ['nobody', 'garbage', 'ada', 'bob', 'admin', 'worker'];

/** Who asks, and what there is to ask about. */
export interface Cast {
  stock: Stock;
  /** For `Authorization: Bearer`; a token of its own each time, for logging out ends one. */
  bearerOf(caller: Caller): string | undefined;
  /** Puts back what the requests used up: leases, workers, rights. Stands in for schedulers too: nodes that are well count as checked. */
  restock(): Promise<void>;
  close(): Promise<void>;
}

const LEASES_EACH = 8;
const TTL_SECONDS = 600;

/** Rows are made past the API, for no scheduler runs: nodes are never free, so every rent that is right is told that none is. */
export async function createCast({ env, joinToken }: System, random: Random): Promise<Cast> {
  const db = createDatabase({
    host: env['ORION_DB_HOST'] ?? '',
    port: Number(env['ORION_DB_PORT']),
    user: env['ORION_DB_USER'] ?? '',
    password: env['ORION_DB_PASSWORD'] ?? '',
    database: env['ORION_DB_NAME'] ?? '',
    poolSize: 2,
  });
  const [ada, bob, admin] = await Promise.all([aUser(db), aUser(db), aUser(db, { role: 'admin' })]);
  const people: Record<'ada' | 'bob' | 'admin', User> = { ada, bob, admin };
  const stock: Stock = { leases: [], nodes: [], keys: [], tokens: [], users: [], joinToken };
  let workers: TestNode[] = [];

  const ids = async (sql: string, bindings: number[] = []): Promise<number[]> =>
    (await selectRows<{ id: number }>(db, sql, bindings)).map(({ id }) => id);
  const topUpLeases = async (user: User): Promise<void> => {
    const running = await selectFirst<{ n: number }>(
      db,
      "SELECT COUNT(*) AS n FROM leases WHERE user_id = ? AND state IN ('provisioning', 'active')",
      [user.id],
    );
    for (let n = running?.n ?? 0; n < LEASES_EACH; n += 1) {
      // In one transaction: else a request could find the node before its lease, and take it out of service.
      await transaction(db, async (tx) => {
        const { id } = await aNode(tx, { drained: true });
        await aLeaseIn(tx, { userId: user.id, nodeId: id });
      });
    }
  };
  const hireWorkers = async (): Promise<void> => {
    const known = new Set(await ids("SELECT id FROM nodes WHERE status IN ('unknown', 'pending')"));
    const staying = workers.filter(({ id }) => known.has(id));
    while (staying.length < 3) {
      staying.push(await aNode(db, { status: 'unknown', dirty: true }));
    }
    workers = staying;
    await aNode(db, { status: 'pending', dirty: true });
  };
  const restock = async (): Promise<void> => {
    await execute(
      db,
      "UPDATE users SET disabled_at = NULL, role = IF(id = ?, 'admin', 'user'), max_leases = 500, max_lease_hours = 24 WHERE id IN (?, ?, ?)",
      [admin.id, ada.id, bob.id, admin.id],
    );
    await execute(db, 'UPDATE join_tokens SET revoked_at = NULL, uses = 0 WHERE id = 1');
    await topUpLeases(ada);
    await topUpLeases(bob);
    await hireWorkers();
    await execute(db, "UPDATE nodes SET last_checked_at = UTC_TIMESTAMP(3) WHERE status = 'alive'");
    stock.leases = await ids('SELECT id FROM leases ORDER BY id DESC LIMIT 24');
    stock.nodes = [...(await ids('SELECT id FROM nodes ORDER BY id DESC LIMIT 40')), ...workers.map(({ id }) => id)];
    stock.keys = await ids('SELECT id FROM user_keys WHERE user_id IN (?, ?) ORDER BY id DESC LIMIT 20', [ada.id, bob.id]);
    stock.tokens = await ids('SELECT id FROM join_tokens ORDER BY id DESC LIMIT 20');
    stock.users = [ada.id, bob.id, admin.id, ...(await ids('SELECT id FROM users ORDER BY id DESC LIMIT 5'))];
  };
  await restock();

  return {
    stock,
    restock,
    bearerOf: (caller) => {
      switch (caller) {
        case 'nobody':
          return undefined;
        case 'garbage':
          return random.hex(random.between(1, 60));
        case 'worker':
          return random.pick(workers).credential;
        default:
          return issueAccessToken(people[caller], { key: env['ORION_JWT_KEY'] ?? '', ttlSeconds: TTL_SECONDS }, new Date());
      }
    },
    close: () => db.destroy(),
  };
}
