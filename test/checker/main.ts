/**
 * Checks I1 to I10 against a running fleet: `npm run check:invariants -- --help`. Reads only: give it a database user that has SELECT and
 * nothing else, and an SSH key of its own for the nodes.
 */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import mysql from 'mysql2/promise';
import type { NodeInspection, Operation, ShownKey } from './evidence';
import { askHostKey, inspectNode } from './inspect-nodes';
import { checkInvariants } from './invariants';
import { readStore } from './read-store';
import { readTables } from './read-tables';

interface Options {
  host: string;
  port: string;
  user: string;
  passwordFile: string;
  database: string;
  history?: string;
  sshKey?: string;
  sshUser: string;
  uids: string;
  checkpointDir?: string;
  seed?: string;
}

/** A history is a file of JSON lines, one Operation each. */
const readHistory = (file: string): Operation[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Operation);

async function lookAtNodes(connection: mysql.Connection, options: Options, now: number): Promise<NodeInspection[] | null> {
  if (!options.sshKey) {
    return null;
  }
  const [first = 70_000, last = 99_999] = options.uids.split('-').map(Number);
  const inspector = { user: options.sshUser, keyFile: options.sshKey, firstUid: first, lastUid: last };
  const [rows] = await connection.query<mysql.RowDataPacket[]>("SELECT id, address, ssh_port, host_key FROM nodes WHERE status = 'alive'");
  const seen: NodeInspection[] = [];
  for (const { id, address, ssh_port: port, host_key: hostKey } of rows as {
    id: number;
    address: string;
    ssh_port: number;
    host_key: string;
  }[]) {
    const inspection = await inspectNode(inspector, { nodeId: id, address, port, hostKey }, now);
    if (inspection) {
      seen.push(inspection);
    }
  }
  return seen;
}

/** Asked before the tables are read: a node that was checked in between and still counts as alive was taken for what it is not. */
async function askHostKeys(connection: mysql.Connection): Promise<ShownKey[]> {
  const [[clock]] = await connection.query<mysql.RowDataPacket[]>('SELECT ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000) AS now');
  const now = Number(clock?.['now']);
  const [rows] = await connection.query<mysql.RowDataPacket[]>("SELECT id, address, ssh_port FROM nodes WHERE status = 'alive'");
  const asked = (rows as { id: number; address: string; ssh_port: number }[]).map(({ id, address, ssh_port: port }) =>
    askHostKey({ nodeId: id, address, port }, now),
  );
  return (await Promise.all(asked)).filter((shown) => shown !== null);
}

async function main(options: Options): Promise<number> {
  const { host, port, user, database } = options;
  const password = readFileSync(options.passwordFile, 'utf8').trim();
  const connection = await mysql.createConnection({ host, port: Number(port), user, password, database, timezone: 'Z' });
  try {
    const hostKeys = options.sshKey ? await askHostKeys(connection) : [];
    // Before the tables: a lease that is new in them may have files by the time that the folder is read.
    const stored = options.checkpointDir === undefined ? {} : { stored: readStore(options.checkpointDir) };
    const before = await readTables(connection);
    const nodes = await lookAtNodes(connection, options, before.now);
    const violations = checkInvariants({
      tables: before,
      history: options.history ? readHistory(options.history) : [],
      nodes,
      hostKeys,
      ...stored,
    });
    for (const violation of violations) {
      process.stdout.write(`${JSON.stringify({ ...violation, seed: options.seed ?? null })}\n`);
    }
    const looked = nodes === null ? 'nodes not looked at' : `${nodes.length} nodes looked at`;
    process.stderr.write(
      `${violations.length} violations; ${before.leases.length} leases, ${before.placements.length} placements, ${before.events.length} events, ${looked}\n`,
    );
    return violations.length === 0 ? 0 : 1;
  } finally {
    await connection.end();
  }
}

const program = new Command('check:invariants')
  .description(
    'Checks the invariants I1 to I10 in the tables, in the histories that clients wrote, and on the nodes. Prints one JSON line a violation.',
  )
  .option('--host <host>', 'MariaDB', '127.0.0.1')
  .option('--port <port>', '', '3306')
  .option('--user <user>', 'a user that may only SELECT', 'orion_check')
  .requiredOption('--password-file <file>')
  .option('--database <name>', '', 'orion')
  .option('--history <file>', 'what clients wrote down: JSON lines, see test/checker/evidence.ts')
  .option('--ssh-key <file>', "the checker's own key for the nodes; without it they are not looked at")
  .option('--ssh-user <name>', '', 'root')
  .option('--uids <first-last>', 'the uids of tenants', '70000-99999')
  .option('--checkpoint-dir <dir>', 'the store of checkpoints; without it it is not looked at')
  .option('--seed <seed>', 'of the run that is being judged; repeated in each line');
program.parse();
process.exitCode = await main(program.opts<Options>());
