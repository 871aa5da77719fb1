import { readFileSync } from 'node:fs';

/** What a process has used, by /proc. */
export interface Usage {
  cpuSeconds: number;
  residentMb: number;
}

/** Of the kernel's accounts; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export function usageOf(pid: number): Usage {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  const resident = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return { cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND, residentMb: Number(resident) / 1024 };
}
