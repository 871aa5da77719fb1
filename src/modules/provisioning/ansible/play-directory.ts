import { mkdtemp, readdir, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NodeTarget } from '../types';
import { hostAlias, knownHosts, sshConfig } from './ssh-config';
import { toUnsafeYaml } from './yaml';

export interface PlayFiles {
  privateKeyFile: string;
  managementUser: string;
  target: NodeTarget;
  vars: Record<string, unknown>;
  playbooksDir: string;
}

/** The private directory (0700) of one run. It contains everything that a play needs and no other user may read. */
export interface PlayDirectory {
  path: string;
  inventory: string;
  vars: string;
  sshConfig: string;
  /** Path of the socket that leads to a node whose transport is its tunnel: see play-socket. */
  socket: string;
  remove(): Promise<void>;
}

const PREFIX = 'orion-play-';

/** Creates a folder (0700) for this process. If the process is killed, sweepStalePlays removes the folder. */
export const createPrivateFolder = async (): Promise<string> => mkdtemp(join(await realpath(tmpdir()), `${PREFIX}${process.pid}-`));

export async function createPlayDirectory(files: PlayFiles): Promise<PlayDirectory> {
  const path = await createPrivateFolder();
  const directory: PlayDirectory = {
    path,
    inventory: join(path, 'inventory.yml'),
    vars: join(path, 'vars.yml'),
    sshConfig: join(path, 'ssh_config'),
    socket: join(path, 'node'),
    remove: () => rm(path, { recursive: true, force: true, maxRetries: 3 }),
  };
  const known = join(path, 'known_hosts');
  const write = (file: string, text: string): Promise<void> => writeFile(file, text, { mode: 0o600, flag: 'wx' });
  try {
    await write(known, knownHosts(files.target));
    const proxy =
      files.target.reach === 'tunnel' ? { command: join(files.playbooksDir, 'files/hand_over.py'), socket: directory.socket } : undefined;
    await write(directory.sshConfig, sshConfig(files.target, { privateKey: files.privateKeyFile, knownHosts: known, proxy }));
    await write(directory.inventory, inventoryOf(files));
    await write(directory.vars, toUnsafeYaml(files.vars));
  } catch (error) {
    await directory.remove();
    throw error;
  }
  return directory;
}

function inventoryOf({ target, managementUser }: PlayFiles): string {
  const connection = {
    ansible_host: target.address,
    ansible_port: target.port,
    ansible_user: managementUser,
  };
  return `{all: {hosts: {${hostAlias(target)}: ${toUnsafeYaml(connection)}}}}\n`;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Removes the folders of runs whose process was killed, because they contain password hashes. Returns how many it removed. */
export async function sweepStalePlays(): Promise<number> {
  const folder = await realpath(tmpdir());
  const stale = (await readdir(folder)).filter((name) => {
    const pid = name.startsWith(PREFIX) ? Number(/^(\d+)-/.exec(name.slice(PREFIX.length))?.[1] ?? 0) : 0;
    return pid > 0 && !isRunning(pid);
  });
  await Promise.all(stale.map((name) => rm(join(folder, name), { recursive: true, force: true })));
  return stale.length;
}
