import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
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
}

/** The private directory (0700) of one run: everything that a play needs and nobody else may see. */
export interface PlayDirectory {
  path: string;
  inventory: string;
  vars: string;
  sshConfig: string;
  remove(): Promise<void>;
}

export async function createPlayDirectory(files: PlayFiles): Promise<PlayDirectory> {
  const path = await mkdtemp(join(await realpath(tmpdir()), 'orion-play-'));
  const directory: PlayDirectory = {
    path,
    inventory: join(path, 'inventory.yml'),
    vars: join(path, 'vars.yml'),
    sshConfig: join(path, 'ssh_config'),
    remove: () => rm(path, { recursive: true, force: true, maxRetries: 3 }),
  };
  const known = join(path, 'known_hosts');
  const write = (file: string, text: string): Promise<void> => writeFile(file, text, { mode: 0o600, flag: 'wx' });
  try {
    await write(known, knownHosts(files.target));
    await write(directory.sshConfig, sshConfig(files.target, { privateKey: files.privateKeyFile, knownHosts: known }));
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
    ansible_python_interpreter: 'python3',
  };
  return `{all: {hosts: {${hostAlias(target)}: ${toUnsafeYaml(connection)}}}}\n`;
}
