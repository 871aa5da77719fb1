import type { Knex } from 'knex';
import { createDatabase } from '../../src/db/connection';
import { execute, selectFirst } from '../../src/db/sql';
import { expireLeases } from '../../src/flows/leases/expire-leases';
import { createReserve, type Reserve } from '../../src/flows/rent/reserve';
import type { FlowContext } from '../../src/flows/support/context';
import { createScrape } from '../../src/http/health/scrape';
import { silentLogger } from '../../src/lib/logger';
import { findUser, type User } from '../../src/modules/accounts';
import { listLeases } from '../../src/modules/leases';
import { createMetrics } from '../../src/modules/telemetry';
import type { Lab, MariaDb } from '../../test/lab';
import { createTestContext } from '../../test/support/context';
import { createFakeProvisioner } from '../../test/support/fake-provisioner';
import { anSshKey } from '../../test/support/keys';
import { aRentOf } from '../claim';
import { createFleet } from '../claim/fleet';
import { perSecond, timeMs } from '../measure';
import { fillHistory, type HistorySize, KEPT_DAYS } from './fill';

const CALLERS = 8;
const USERS = 200;
const POOL_SIZE = 8;
const PAGES = 40;

/** A system, empty or with a history. Each function measures it once and leaves it as it was. */
export interface Side {
  ctx: FlowContext;
  /** Rents a second, by 8 callers. */
  rent(rents: number): Promise<number>;
  /** Milliseconds of a page of leases: the first and a middle page of a user and of all users. */
  list(): Promise<number>;
  /** Leases a second that the job `expire` ends. */
  expire(leases: number): Promise<number>;
  /** Milliseconds of one scrape of `/metrics`. */
  scrape(): Promise<number>;
}

interface Filling {
  nodes: number;
  history: HistorySize | null;
}

export async function openSide(lab: Lab, mariadb: MariaDb, { nodes, history }: Filling): Promise<Side> {
  const { access, userIds } = await createFleet(lab, mariadb, nodes);
  const db = createDatabase({ ...access, poolSize: POOL_SIZE });
  lab.push('side', () => db.destroy());
  if (history) {
    await fillHistory(db, history);
  }
  const users = await Promise.all(userIds.slice(0, USERS).map((id) => findUser(db, id)));
  const ctx = createTestContext(db, createFakeProvisioner(), { historyDays: KEPT_DAYS });
  const rentMany = renter(createReserve(ctx), users);
  const scrape = createScrape({ scrapes: db, metrics: createMetrics(), logger: silentLogger });
  const free = await remover(db);
  return {
    ctx,
    rent: async (rents) => {
      const rate = await rentMany(rents);
      await free();
      return rate;
    },
    list: () => timeMs(() => listPages(db, userIds)).then((ms) => ms / PAGES),
    expire: async (leases) => {
      await rentMany(leases);
      const over = 'created_at = created_at - INTERVAL 1 DAY, ends_at = UTC_TIMESTAMP(3)';
      await execute(db, `UPDATE leases SET ${over} WHERE state = 'provisioning'`);
      const tookMs = await timeMs(async () => {
        while ((await expireLeases(ctx)) === 'more');
      });
      await free();
      return (leases * 1000) / tookMs;
    },
    scrape: () => timeMs(scrape),
  };
}

function renter(reserve: Reserve, users: (User | undefined)[]): (rents: number) => Promise<number> {
  const publicKey = anSshKey();
  return (rents) => perSecond(rents, CALLERS, (call) => reserve(aRentOf(users[call % users.length], publicKey)));
}

const newestId = async (db: Knex, table: string): Promise<number> =>
  (await selectFirst<{ id: number | null }>(db, `SELECT MAX(id) AS id FROM ${table}`))?.id ?? 0;

/** What is newer than now goes each time; the history stays. */
async function remover(db: Knex): Promise<() => Promise<void>> {
  const names = ['placements', 'leases', 'rents', 'events'];
  const tables = await Promise.all(names.map(async (table) => ({ table, last: await newestId(db, table) })));
  return async () => {
    const clean = 'lease_id = NULL, dirty = 0, wipe_due_at = NULL, wipe_token = NULL';
    await execute(db, `UPDATE nodes SET ${clean} WHERE lease_id IS NOT NULL OR dirty = 1`);
    for (const { table, last } of tables) {
      await execute(db, `DELETE FROM ${table} WHERE id > ?`, [last]);
    }
  };
}

async function listPages(db: Knex, userIds: number[]): Promise<void> {
  const middle = (await newestId(db, 'leases')) / 2;
  for (let page = 0; page < PAGES / 4; page += 1) {
    for (const ownerId of [userIds[page], undefined]) {
      for (const beforeId of [undefined, Math.floor(middle)]) {
        await listLeases(db, { ownerId, runningOnly: page % 2 === 0, beforeId, limit: 50 });
      }
    }
  }
}
