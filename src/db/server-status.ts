import { selectRows } from './sql';
import type { Db } from './transaction';

const COUNTERS = [
  'Uptime',
  'Threads_connected',
  'Threads_running',
  'Slow_queries',
  'Questions',
  'Aborted_clients',
  'Aborted_connects',
  'Innodb_row_lock_current_waits',
  'Innodb_row_lock_waits',
  'Innodb_row_lock_time_avg',
  'Innodb_row_lock_time_max',
  'Innodb_deadlocks',
  'Innodb_history_list_length',
];

/** Reads version and counters of the database server. It reads no statements, because their text contains values. */
export async function readServerStatus(db: Db): Promise<{ version: string; counters: Record<string, string> }> {
  const rows = await selectRows<{ Variable_name: string; Value: string }>(
    db,
    `SHOW GLOBAL STATUS WHERE Variable_name IN (${COUNTERS.map(() => '?').join(', ')})`,
    COUNTERS,
  );
  const [server] = await selectRows<{ version: string }>(db, 'SELECT VERSION() AS version');
  return { version: server?.version ?? '', counters: Object.fromEntries(rows.map((row) => [row.Variable_name, row.Value])) };
}
