import { arch, cpus, loadavg, release, totalmem } from 'node:os';
import { run } from '../test/lab';

export interface Machine {
  cpu: string;
  cores: number;
  memoryGb: number;
  versions: string;
}

/** What the figures were measured on. */
export async function describeMachine(): Promise<Machine> {
  const mariadb = /Distrib ([\d.]+)|Ver ([\d.]+)/.exec((await run('mariadbd', ['--no-defaults', '--version'])).stdout);
  const ssh = /OpenSSH_([\w.]+)/.exec((await run('ssh', ['-V'])).stderr);
  const ansible = /core ([\d.]+)/.exec((await run('ansible-playbook', ['--version'])).stdout);
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    versions: [
      `Linux ${release()} ${arch()}`,
      `Node ${process.versions.node}`,
      `MariaDB ${mariadb?.[1] ?? mariadb?.[2] ?? '?'}`,
      `OpenSSH ${ssh?.[1] ?? '?'}`,
      `ansible-core ${ansible?.[1] ?? '?'}`,
    ].join(', '),
  };
}

/** The load of the last minute. What the benchmark itself causes is in it. */
export const loadNow = (): number => loadavg()[0] ?? 0;
