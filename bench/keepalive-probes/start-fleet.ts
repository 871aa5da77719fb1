import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, generateSshKeyPair, type Lab, projectDir, startProcess } from '../../test/lab';

export interface Fleet {
  address: string;
  port: number;
  /** `type base64`. */
  hostKey: string;
  /** A key that is let in, as any other is. */
  clientKeyFile: string;
}

/** Simulated machines at one address; they end with the lab. */
export async function startFleet(lab: Lab, address: string): Promise<Fleet> {
  const { keyFile } = await generateSshKeyPair(lab.dir, `machines at ${address}`);
  const server = startProcess(lab, {
    name: 'machines',
    command: process.execPath,
    cwd: projectDir,
    args: ['--import', 'tsx', join(projectDir, 'bench', 'keepalive-probes', 'fleet.ts'), keyFile, address],
  });
  const port = await eventually(() => /^port (\d+)/m.exec(server.log())?.[1], { what: 'the machines listen', timeoutMs: 20_000 });
  const [type = '', blob = ''] = readFileSync(`${keyFile}.pub`, 'utf8').split(' ');
  return { address, port: Number(port), hostKey: `${type} ${blob}`, clientKeyFile: keyFile };
}
