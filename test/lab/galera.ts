import mysql, { type RowDataPacket } from 'mysql2/promise';
import { eventually } from './eventually';
import type { Lab } from './lab';
import { asRoot, type DatabaseAccess, type MariaDb, startMariaDb } from './mariadb';
import { freePort } from './ports';

/** Several MariaDB servers that form one database; a client may write to any of them. */
export interface GaleraCluster {
  nodes: GaleraNode[];
  /** Creates an empty database. Returns the access through each node, in the order of the nodes. */
  createDatabase(): Promise<DatabaseAccess[]>;
}

export interface GaleraNode extends MariaDb {
  /** Isolates the node from the others, but not from its clients. Resolves when the node reports that it is alone. */
  cutOff(): Promise<void>;
  /** Ends the isolation. Resolves when the node is synced with the others. */
  rejoin(): Promise<void>;
}

/** The file of Debian's package galera-4, on any architecture. */
const PROVIDER = '/usr/lib/galera/libgalera_smm.so';

/** Starts a cluster on ports of 127.0.0.1. It is ready in a few seconds. */
export async function startGalera(lab: Lab, size = 3): Promise<GaleraCluster> {
  const ports = await Promise.all(
    Array.from({ length: size }, async () => ({ group: await freePort(), transfer: await freePort(), files: await freePort() })),
  );
  const members = ports.map(({ group }) => `127.0.0.1:${group}`).join(',');
  const start = async (port: Port, known: string): Promise<GaleraNode> =>
    toNode(await startMariaDb(lab, { args: nodeArguments(port, known), user: 'mysql' }));
  // A node copies its files from another node by rsync, whose server drops root's rights. Hence the user `mysql`.
  const [first, ...others] = ports as [Port, ...Port[]];
  const founder = await start(first, '');
  const nodes = [founder];
  for (const port of others) {
    nodes.push(await start(port, members));
  }
  await Promise.all(nodes.map((node) => untilStatus(node, { wsrep_cluster_size: String(size), wsrep_local_state_comment: 'Synced' })));
  return {
    nodes,
    createDatabase: async () => {
      const access = await founder.createDatabase();
      const reached = nodes.map(({ port }) => ({ ...access, port }));
      await Promise.all(reached.map((each) => eventually(() => connects(each), { what: 'the database is on every node' })));
      return reached;
    },
  };
}

interface Port {
  group: number;
  transfer: number;
  files: number;
}

/** Builds the arguments of a node. Without members, the node starts a new cluster. */
function nodeArguments({ group, transfer, files }: Port, members: string): string[] {
  const provider = [`gmcast.listen_addr=tcp://127.0.0.1:${group}`, `ist.recv_addr=127.0.0.1:${transfer}`, 'gcache.size=16M'];
  return [
    '--binlog-format=ROW',
    '--innodb-autoinc-lock-mode=2',
    '--innodb-buffer-pool-size=64M',
    '--wsrep-on=ON',
    `--wsrep-provider=${PROVIDER}`,
    `--wsrep-provider-options=${provider.join(';')}`,
    `--wsrep-cluster-address=gcomm://${members}`,
    `--wsrep-node-address=127.0.0.1:${group}`,
    `--wsrep-sst-receive-address=127.0.0.1:${files}`,
    '--wsrep-sst-method=rsync',
  ];
}

function toNode(server: MariaDb): GaleraNode {
  const isolate = (on: 0 | 1): Promise<unknown> =>
    asRoot(server, (connection) => connection.query(`SET GLOBAL wsrep_provider_options = 'gmcast.isolate=${on}'`));
  return {
    ...server,
    cutOff: async () => {
      await isolate(1);
      await untilStatus(server, { wsrep_cluster_status: 'non-Primary' });
    },
    rejoin: async () => {
      await isolate(0);
      await untilStatus(server, { wsrep_cluster_status: 'Primary', wsrep_local_state_comment: 'Synced' });
    },
  };
}

async function untilStatus(server: MariaDb, wanted: Record<string, string>): Promise<void> {
  const isSo = async (): Promise<boolean> => {
    const [rows] = await asRoot(server, (connection) => connection.query<RowDataPacket[]>("SHOW GLOBAL STATUS LIKE 'wsrep%'"));
    const status = Object.fromEntries(rows.map(({ Variable_name, Value }) => [Variable_name as string, Value as string]));
    const different = Object.keys(wanted).filter((name) => status[name] !== wanted[name]);
    if (different.length > 0) {
      throw new Error(different.map((name) => `${name} is ${status[name] ?? 'missing'}`).join(', '));
    }
    return true;
  };
  await eventually(isSo, { what: `a node of the cluster reports ${JSON.stringify(wanted)}`, timeoutMs: 30_000, everyMs: 50 });
}

async function connects(access: DatabaseAccess): Promise<boolean> {
  const connection = await mysql.createConnection(access);
  await connection.end();
  return true;
}
