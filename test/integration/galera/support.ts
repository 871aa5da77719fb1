import type { Knex } from 'knex';
import { createDatabase, type DatabaseSettings } from '../../../src/db/connection';
import { createMigrator } from '../../../src/db/migrate';
import { type GaleraCluster, type Lab, startGalera } from '../../lab';
import { migrationsDir } from '../../support/database';

export type Writers = [Knex, Knex, Knex];

export interface ClusterSite {
  cluster: GaleraCluster;
  /** A pool on each node: what replicas have that write to different ones. */
  writers: Writers;
  /** Further pools on each node. */
  open(settings?: Partial<DatabaseSettings>): Writers;
  /** What each of them applied, when all migrated at once. */
  migrated: string[][];
}

/** A cluster of three with the whole schema, made from all nodes at once. */
export async function openCluster(lab: Lab): Promise<ClusterSite> {
  const cluster = await startGalera(lab);
  const accesses = await cluster.createDatabase();
  const open = (settings: Partial<DatabaseSettings> = {}): Writers => {
    const pools = accesses.map((access) => createDatabase({ ...access, poolSize: 10, ...settings })) as Writers;
    lab.push('pools', async () => {
      await Promise.all(pools.map((db) => db.destroy()));
    });
    return pools;
  };
  const writers = open();
  const migrated = await Promise.all(writers.map((db) => createMigrator(db, migrationsDir).up()));
  return { cluster, writers, open, migrated };
}

/** Runs `work` over and over until `until` is over. */
export async function meanwhile<T>(work: () => Promise<unknown>, until: Promise<T>): Promise<T> {
  const over = new AbortController();
  const running = (async () => {
    while (!over.signal.aborted) {
      await work().catch(() => undefined);
    }
  })();
  const result = await until.finally(() => over.abort());
  await running;
  return result;
}
