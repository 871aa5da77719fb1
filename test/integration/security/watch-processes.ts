import { readdirSync, readFileSync } from 'node:fs';

/** Looks at the processes of this machine again and again. */
export interface ProcessWatch {
  /** What was seen, each once: the arguments of every process, and the environment of those that belong to a play. */
  stop(): string[];
}

const EVERY_MS = 50;
const NUL = /\0/g;

function read(pid: string, what: 'cmdline' | 'environ'): string {
  try {
    return readFileSync(`/proc/${pid}/${what}`, 'utf8').replace(NUL, ' ');
  } catch {
    return '';
  }
}

export function watchProcesses(): ProcessWatch {
  const seen = new Set<string>();
  const others = new Set<string>();
  const look = (): void => {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      const command = read(pid, 'cmdline');
      if (command === '' || others.has(`${pid} ${command}`)) {
        continue;
      }
      seen.add(command);
      const environment = read(pid, 'environ');
      if (environment.includes('ORION_PLAY=')) {
        seen.add(environment);
      } else {
        others.add(`${pid} ${command}`);
      }
    }
  };
  const timer = setInterval(look, EVERY_MS).unref();
  return {
    stop: () => {
      clearInterval(timer);
      return [...seen];
    },
  };
}
