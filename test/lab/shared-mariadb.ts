import { existsSync, mkdirSync, readFileSync, renameSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually';
import { startTimeOf } from './guard';
import { createLab } from './lab';
import { createDatabase, createReader, startMariaDb, type DatabaseAccess, type MariaDbAddress } from './mariadb';

export interface SharedMariaDb extends MariaDbAddress {
  createDatabase(name?: string): Promise<DatabaseAccess>;
  createReader(database: string): Promise<DatabaseAccess>;
}

/**
 * Returns the server that all test files of a jest run share, in whichever jest worker they run. The first caller starts it, and it ends
 * with the run. A test that stops its server must start one of its own.
 */
export async function sharedMariaDb(): Promise<SharedMariaDb> {
  const address = await findOrStart(runPid());
  return {
    ...address,
    createDatabase: (name) => createDatabase(address, name),
    createReader: (database) => createReader(address, database),
  };
}

/** The pid of the process that lives as long as the run: jest's main process, which sets it in jest.config.mjs, or else this one. */
const runPid = (): number => Number(process.env['ORION_LAB_RUN_PID'] ?? process.pid);

async function findOrStart(pid: number): Promise<MariaDbAddress> {
  const place = join(tmpdir(), `orion-lab-run-${pid}-${startTimeOf(pid) ?? '0'}`);
  const file = join(place, 'mariadb.json');
  const mayStart = (): boolean => {
    try {
      mkdirSync(join(place, 'starting'));
      return true;
    } catch {
      return false;
    }
  };
  mkdirSync(place, { recursive: true, mode: 0o700 });
  if (!existsSync(file) && mayStart()) {
    await startFor(pid, place, file).catch((error: unknown) => {
      rmdirSync(join(place, 'starting'));
      throw error;
    });
  }
  await eventually(() => existsSync(file), { what: 'the shared MariaDB is up', timeoutMs: 60_000 });
  return JSON.parse(readFileSync(file, 'utf8')) as MariaDbAddress;
}

/** Starts the shared server. Nothing closes its lab; the lab's guard ends the server when the run is over. */
async function startFor(pid: number, place: string, file: string): Promise<void> {
  const lab = createLab({ watchedPid: pid });
  lab.note({ kind: 'dir', path: place });
  const server = await startMariaDb(lab).catch(async (error: unknown) => {
    await lab.close();
    throw error;
  });
  const { host, port, socket } = server;
  writeFileSync(`${file}.new`, JSON.stringify({ host, port, socket }));
  renameSync(`${file}.new`, file);
}
