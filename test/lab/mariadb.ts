import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { eventually } from './eventually';
import type { Lab } from './lab';
import { copyDataDir } from './mariadb-datadir';
import { freePort } from './ports';
import { startProcess, type LabProcess } from './process';
import { runOrThrow } from './run';

export interface DatabaseAccess {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
}

/** Address of a server. Processes also pass it to each other. */
export interface MariaDbAddress {
  host: string;
  port: number;
  socket: string;
}

export interface MariaDb extends MariaDbAddress {
  dir: string;
  process(): LabProcess;
  /** Creates an empty database, and a user with all rights in it. Without a name, the database gets a random one. */
  createDatabase(name?: string): Promise<DatabaseAccess>;
  createRoleUsers(database: string, roles: readonly string[]): Promise<string>;
  /** Creates a user of that database who may only SELECT. */
  createReader(database: string): Promise<DatabaseAccess>;
  /** Shuts the server down in order. */
  stop(): Promise<void>;
  kill9(): Promise<void>;
  /** Restarts the server on the same port and files; stops it first if it runs. Resolves when it answers. */
  restart(): Promise<void>;
  /** Sends SIGSTOP; `resume` sends SIGCONT. While the server is paused, the kernel accepts connections, but nothing answers. */
  pause(): void;
  resume(): void;
}

export interface MariaDbOptions {
  /** Uses real fsyncs, for benchmarks. Without them, committed data survives kill -9, but not a power cut. */
  durable?: boolean;
  /** Further arguments of mariadbd. Of two equal ones, the last one wins. */
  args?: string[];
  /** The UNIX user that runs the server and owns its files. Default: root. */
  user?: string;
}

/** Starts a private mariadbd on 127.0.0.1 with its own data directory. It is ready in about a second. */
export async function startMariaDb(lab: Lab, options: MariaDbOptions = {}): Promise<MariaDb> {
  const dir = mkdtempSync(join(lab.dir, 'db-'));
  const address = { host: '127.0.0.1', port: await freePort(), socket: join(dir, 's') };
  await copyDataDir(join(dir, 'data'));
  if (options.user) {
    await runOrThrow('chown', ['-R', options.user, dir]);
    chmodSync(lab.dir, 0o711);
  }
  const launch = async (): Promise<LabProcess> => {
    const child = startProcess(lab, { name: 'mariadb', command: 'mariadbd', args: serverArguments(dir, address, options) });
    await awaitServer(address, child);
    return child;
  };
  let current = await launch();
  return {
    ...address,
    dir,
    process: () => current,
    createDatabase: (name) => createDatabase(address, name),
    createRoleUsers: (database, roles) => createRoleUsers(address, database, roles),
    createReader: (database) => createReader(address, database),
    stop: async () => {
      await current.stop(30_000);
    },
    kill9: async () => {
      await current.kill9();
    },
    restart: async () => {
      await current.stop(30_000);
      current = await launch();
    },
    pause: () => current.pause(),
    resume: () => current.resume(),
  };
}

function serverArguments(dir: string, address: MariaDbAddress, options: MariaDbOptions): string[] {
  return [
    '--no-defaults',
    `--datadir=${join(dir, 'data')}`,
    `--socket=${address.socket}`,
    `--pid-file=${join(dir, 'pid')}`,
    `--tmpdir=${dir}`,
    `--port=${address.port}`,
    `--bind-address=${address.host}`,
    `--user=${options.user ?? 'root'}`,
    '--skip-name-resolve',
    '--character-set-server=utf8mb4',
    '--max-connections=600',
    '--performance-schema=OFF',
    '--innodb-flush-log-at-trx-commit=1',
    `--innodb-flush-method=${options.durable ? 'fsync' : 'nosync'}`,
    '--innodb-log-file-size=32M',
    '--innodb-buffer-pool-size=128M',
    ...(options.args ?? []),
  ];
}

async function awaitServer(address: MariaDbAddress, child: LabProcess): Promise<void> {
  const answers = async (): Promise<boolean> => {
    if (!child.running()) {
      return true;
    }
    await asRoot(address, (connection) => connection.ping());
    return true;
  };
  await eventually(answers, { what: 'MariaDB answers', timeoutMs: 30_000, everyMs: 20 });
  if (!child.running()) {
    throw new Error(`mariadbd ended at once: ${child.log().slice(-3000)}`);
  }
}

/** Runs `work` on a connection as the server's root, through its socket. */
export async function asRoot<T>(address: MariaDbAddress, work: (connection: mysql.Connection) => Promise<T>): Promise<T> {
  const connection = await mysql.createConnection({ socketPath: address.socket, user: 'root' });
  try {
    return await work(connection);
  } finally {
    await connection.end();
  }
}

export async function createDatabase(address: MariaDbAddress, name?: string): Promise<DatabaseAccess> {
  const database = name ?? `t_${randomBytes(6).toString('hex')}`;
  const password = randomBytes(12).toString('hex');
  await asRoot(address, async (connection) => {
    await connection.query('CREATE DATABASE ?? CHARACTER SET utf8mb4', [database]);
    await connection.query('CREATE USER ?@? IDENTIFIED BY ?', [database, '%', password]);
    await connection.query('GRANT ALL ON ??.* TO ?@?', [database, database, '%']);
  });
  return { host: address.host, port: address.port, user: database, password, database };
}

/**
 * Creates the users of the roles, and the user that migrates and grants, as in docs/operations.md. Returns the password, which all of them
 * share.
 */
export async function createRoleUsers(address: MariaDbAddress, database: string, roles: readonly string[]): Promise<string> {
  const password = randomBytes(12).toString('hex');
  await asRoot(address, async (connection) => {
    for (const user of ['orion_migrate', ...roles]) {
      await connection.query('CREATE USER ?@? IDENTIFIED BY ?', [user, '%', password]);
    }
    await connection.query('GRANT ALL ON ??.* TO ?@? WITH GRANT OPTION', [database, 'orion_migrate', '%']);
  });
  return password;
}

export async function createReader(address: MariaDbAddress, database: string): Promise<DatabaseAccess> {
  const [user, password] = [`r_${randomBytes(6).toString('hex')}`, randomBytes(12).toString('hex')];
  await asRoot(address, async (connection) => {
    await connection.query('CREATE USER ?@? IDENTIFIED BY ?', [user, '%', password]);
    await connection.query('GRANT SELECT ON ??.* TO ?@?', [database, user, '%']);
  });
  return { host: address.host, port: address.port, user, password, database };
}
