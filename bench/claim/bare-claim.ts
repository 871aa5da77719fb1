import { randomUUID } from 'node:crypto';
import mysql, { type Pool, type PoolConnection, raw, type ResultSetHeader, type RowDataPacket } from 'mysql2';
import { randomName } from '../../src/lib/ids';
import type { DatabaseAccess } from '../../test/lab';

/** What db/connection sets in each session. */
const SESSION =
  "SET SESSION tx_isolation = 'READ-COMMITTED', time_zone = '+00:00', innodb_lock_wait_timeout = 5, sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO'";

/** A pool of bare connections with the same session settings as Orion's own. */
export function openBarePool({ host, port, user, password, database }: DatabaseAccess, poolSize: number): Pool {
  const pool = mysql.createPool({
    host,
    port,
    user,
    password,
    database,
    timezone: 'Z',
    charset: 'utf8mb4',
    multipleStatements: true,
    connectionLimit: poolSize,
    maxIdle: poolSize,
  });
  pool.on('connection', (connection) => void connection.query(SESSION));
  return pool;
}

export const closeBarePool = (pool: Pool): Promise<void> => new Promise((resolve) => pool.end(() => resolve()));

/** What a rent of one node says to the database, statement by statement. */
const SQL = {
  begin: 'BEGIN',
  lockUser:
    'SELECT id, username, role, max_leases, max_lease_hours, disabled_at, access_version, created_at FROM users WHERE id IN (?) ORDER BY id FOR UPDATE',
  findRent: 'SELECT id, user_id, idempotency_key, request_hash FROM rents WHERE (user_id, idempotency_key) IN ((?, ?))',
  countRunning: 'SELECT user_id, COUNT(*) AS n FROM leases WHERE user_id IN (?) AND occupied_node_id IS NOT NULL GROUP BY user_id',
  lockNode: `SELECT id, hostname, address, ssh_port, reach, host_key, status, cpus, memory_mb, next_uid, use_band, not_examined FROM nodes FORCE INDEX (nodes_claim) WHERE leasable = 1 AND use_band < 3 AND fit >= ? AND cpus >= ? AND memory_mb >= ?
       AND (last_death_at IS NULL OR NOT last_death_at > UTC_TIMESTAMP(3) - INTERVAL 1 HOUR) ORDER BY fit, use_band, id LIMIT ? FOR UPDATE SKIP LOCKED`,
  insertRent: 'INSERT INTO rents (user_id, idempotency_key, request_hash) VALUES (?, ?, ?) RETURNING id',
  insertLease: `INSERT INTO leases (rent_id, user_id, state, occupied_node_id, requirements, public_keys, password_hash, created_at, ends_at)
     VALUES (?, ?, 'provisioning', ?, ?, ?, ?, UTC_TIMESTAMP(3), TIMESTAMPADD(MICROSECOND, ROUND(? * 1000) * 1000, UTC_TIMESTAMP(3))) RETURNING id, rent_id, created_at, ends_at`,
  keepLeaseId: 'SET @lease = LAST_INSERT_ID()',
  occupy: `UPDATE nodes JOIN leases ON leases.occupied_node_id = nodes.id
        SET nodes.lease_id = leases.id, nodes.last_leased_at = UTC_TIMESTAMP(3), nodes.next_uid = nodes.next_uid + 1
      WHERE nodes.id IN (?) AND nodes.lease_id IS NULL`,
  insertEvent: 'INSERT INTO events (type, actor, lease_id, node_id, user_id, data) VALUES (?, ?, ?, ?, ?, ?)',
  insertPlacement: `INSERT INTO placements (lease_id, node_id, generation, current_lease_id, state, username, uid, due_at, claim_token)
     VALUES (?, ?, ?, ?, 'creating', ?, ?, TIMESTAMPADD(MICROSECOND, ROUND(? * 1000) * 1000, UTC_TIMESTAMP(3)), ?) RETURNING id, lease_id`,
  commit: 'COMMIT',
} as const;

interface BareRent {
  userId: number;
  idempotencyKey: string;
  requestHash: string;
  publicKey: string;
}

/** A transaction of a rent. False: others were claiming all the nodes that it saw; nothing was done. */
export type BareClaim = (pool: Pool, rent: BareRent) => Promise<boolean>;

/** `claim` says all of it but the ROLLBACK. */
const inTransaction =
  (claim: (connection: PoolConnection, rent: BareRent) => Promise<boolean>): BareClaim =>
  async (pool, rent) => {
    const connection = await connect(pool);
    try {
      const claimed = await claim(connection, rent);
      if (!claimed) {
        await query(connection, 'ROLLBACK');
      }
      return claimed;
    } finally {
      connection.release();
    }
  };

/** Any node that is free. */
const ANY = [2048, 1, 0, 1];

/** One statement after the other, as it is written at first. */
export const claimBare = inTransaction(async (connection, { userId, idempotencyKey, requestHash, publicKey }) => {
  await query(connection, SQL.begin);
  await query(connection, SQL.lockUser, [userId]);
  await query(connection, SQL.findRent, [userId, idempotencyKey]);
  await query(connection, SQL.countRunning, [userId]);
  const [node] = await query<RowDataPacket[]>(connection, SQL.lockNode, ANY);
  if (!node) {
    return false;
  }
  const nodeId = node['id'] as number;
  const [rent] = await query<RowDataPacket[]>(connection, SQL.insertRent, [userId, idempotencyKey, requestHash]);
  const [lease] = await query<RowDataPacket[]>(connection, SQL.insertLease, [
    rent?.['id'],
    userId,
    nodeId,
    REQUIREMENTS,
    JSON.stringify([publicKey]),
    null,
    3600,
  ]);
  const leaseId = lease?.['id'] as number;
  await query(connection, SQL.occupy, [nodeId]);
  await query(connection, SQL.insertEvent, ['lease.requested', `user:${userId}`, leaseId, nodeId, userId, '{"duration_seconds":3600}']);
  await query(connection, SQL.insertPlacement, [leaseId, nodeId, 1, leaseId, `orn-${randomName(10)}`, node['next_uid'], 30, randomUUID()]);
  await query(connection, SQL.commit);
  return true;
});

const [LAST_ID, LEASE_ID] = [raw('LAST_INSERT_ID()'), raw('@lease')];

/** As `flows/rent/reserve` says it: what can travel together does. */
export const claimTogether = inTransaction(async (connection, { userId, idempotencyKey, requestHash, publicKey }) => {
  const answers = await queryTogether<RowDataPacket[][]>(connection, [
    [SQL.begin],
    [SQL.lockUser, [userId]],
    [SQL.findRent, [userId, idempotencyKey]],
    [SQL.countRunning, [userId]],
    [SQL.lockNode, ANY],
  ]);
  const node = answers.at(-1)?.[0];
  if (!node) {
    return false;
  }
  const nodeId = node['id'] as number;
  await queryTogether(connection, [
    [SQL.insertRent, [userId, idempotencyKey, requestHash]],
    [SQL.insertLease, [LAST_ID, userId, nodeId, REQUIREMENTS, JSON.stringify([publicKey]), null, 3600]],
    [SQL.keepLeaseId],
    [SQL.insertPlacement, [LEASE_ID, nodeId, 1, LEASE_ID, `orn-${randomName(10)}`, node['next_uid'], 30, randomUUID()]],
    [SQL.occupy, [nodeId]],
    [SQL.insertEvent, ['lease.requested', `user:${userId}`, LEASE_ID, nodeId, userId, '{"duration_seconds":3600}']],
    [SQL.commit],
  ]);
  return true;
});

const REQUIREMENTS = '{"cpus":1,"memoryMb":0,"labels":{}}';

const queryTogether = <T extends RowDataPacket[][] | ResultSetHeader>(
  connection: PoolConnection,
  statements: [sql: string, values?: Parameters<typeof mysql.format>[1]][],
): Promise<T> => query<T>(connection, statements.map(([sql, values]) => mysql.format(sql, values)).join(';\n'));

const connect = (pool: Pool): Promise<PoolConnection> =>
  new Promise((resolve, reject) => pool.getConnection((error, connection) => (error ? reject(error) : resolve(connection))));

/** The callback interface: that of promises makes an Error for each call. */
function query<T extends RowDataPacket[] | RowDataPacket[][] | ResultSetHeader>(
  connection: PoolConnection,
  sql: string,
  values: unknown[] = [],
): Promise<T> {
  return new Promise((resolve, reject) => connection.query<T>(sql, values, (error, result) => (error ? reject(error) : resolve(result))));
}
