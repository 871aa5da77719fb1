import type { Knex } from 'knex';
import { type Db, type Tx, transaction } from '../../src/db/transaction';
import { execute, insertRow } from '../../src/db/sql';
import { fingerprintOf } from '../../src/lib/host-key';
import { randomName, randomSecret, sha256 } from '../../src/lib/ids';
import { insertUser, type User } from '../../src/modules/accounts';
import { insertLeases, insertPlacements, insertRents, type LeaseState } from '../../src/modules/leases';
import { type Labels, type NodeStatus, occupyNodes, recordHeartbeats } from '../../src/modules/nodes';
import { anSshKey } from './keys';

export interface UserOptions {
  username?: string;
  role?: 'user' | 'admin';
  maxLeases?: number;
  maxLeaseHours?: number;
}

/** A hash with a low cost: users of the builder have no password that a test knows. */
const NO_PASSWORD = '$argon2id$v=19$m=64,t=1,p=1$dsQivTRXqcei5W8H4BjsOA$cm1aYJl/3sc8A4WkLkrGQQVIIo0Tz4O4pIbDRiDlJKc';

/** Inserts a user without a usable password: hashing is slow, and most tests log in by issuing a token. */
export function aUser(
  db: Knex,
  { username = `u${randomName(8)}`, role = 'user', maxLeases = 5, maxLeaseHours = 24 }: UserOptions = {},
): Promise<User> {
  return insertUser(db, { username, passwordHash: NO_PASSWORD, role, maxLeases, maxLeaseHours });
}

export interface NodeOptions {
  status?: NodeStatus;
  drained?: boolean;
  dirty?: boolean;
  cpus?: number;
  memoryMb?: number;
  labels?: Labels;
}

export interface TestNode {
  id: number;
  hostKey: string;
  credential: string;
}

/** Inserts a node as it is after enrolment: alive, clean and free by default, and checked a moment ago. */
export async function aNode(
  db: Db,
  { status = 'alive', drained = false, dirty = false, cpus = 2, memoryMb = 2048, labels = {} }: NodeOptions = {},
): Promise<TestNode> {
  const hostKey = anSshKey();
  const credential = randomSecret('orion_node_');
  const id = await insertRow(
    db,
    `INSERT INTO nodes (hostname, address, ssh_port, host_key, host_key_fingerprint, credential_hash, status, drained, dirty, cpus, memory_mb, labels, facts, next_uid,
                        last_checked_at, probe_due_at)
     VALUES (?, '127.0.0.1', 22, ?, ?, ?, ?, ?, ?, ?, ?, ?, '{}', 70000, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3) + INTERVAL 1 HOUR)`,
    [
      `n-${randomName(6)}`,
      hostKey,
      status === 'retired' ? null : fingerprintOf(hostKey),
      sha256(credential),
      status,
      drained,
      dirty,
      cpus,
      memoryMb,
      JSON.stringify(labels),
    ],
  );
  await recordHeartbeats(db, [{ nodeId: id, vitals: {}, overdueSeconds: 25 }]);
  return { id, hostKey, credential };
}

const AT_ONCE = 50;

/** Inserts nodes, and returns them sorted by id. The nodes of a batch are inserted concurrently, so their ids come in random order. */
export async function severalNodes(db: Knex, n: number, options: NodeOptions = {}): Promise<TestNode[]> {
  const nodes: TestNode[] = [];
  while (nodes.length < n) {
    nodes.push(...(await Promise.all(Array.from({ length: Math.min(AT_ONCE, n - nodes.length) }, () => aNode(db, options)))));
  }
  return nodes.toSorted((a, b) => a.id - b.id);
}

export interface TestLease {
  id: number;
  userId: number;
  nodeId: number;
  placementId: number;
}

interface LeaseOptions {
  userId: number;
  nodeId: number;
  state?: Extract<LeaseState, 'provisioning' | 'active'>;
}

/** Inserts a lease with an account on the node, as it is after a rent. No process has claimed its placement. */
export function aLease(db: Knex, options: LeaseOptions): Promise<TestLease> {
  return transaction(db, (tx) => aLeaseIn(tx, options));
}

function never(): never {
  throw new Error('an INSERT gave no row');
}

/** Does the same in the caller's transaction. */
export async function aLeaseIn(tx: Tx, { userId, nodeId, state = 'active' }: LeaseOptions): Promise<TestLease> {
  const [rentId = 0] = await insertRents(tx, [{ userId, idempotencyKey: null, requestHash: sha256('any') }]);
  const requirements = { cpus: 1, memoryMb: 0, labels: {} };
  const [{ id } = never()] = await insertLeases(tx, [
    { rentId, userId, nodeId, durationSeconds: 3600, requirements, publicKeys: [anSshKey()], passwordHash: null },
  ]);
  await occupyNodes(tx, [nodeId]);
  const [placement = never()] = await insertPlacements(tx, [{ leaseId: id, nodeId, generation: 1, uid: 70_000 + id }], 30);
  if (state === 'active') {
    await execute(
      tx,
      "UPDATE placements SET state = 'present', due_at = NULL, claim_token = NULL, present_at = UTC_TIMESTAMP(3) WHERE id = ?",
      [placement.id],
    );
    await execute(tx, "UPDATE leases SET state = 'active', activated_at = UTC_TIMESTAMP(3) WHERE id = ?", [id]);
  }
  return { id, userId, nodeId, placementId: placement.id };
}
