import { readFileSync } from 'node:fs';

/** Whether a process of the control plane has a play under way: in a process that has Ansible loaded, or in one of ansible-playbook. */
export const isPlaying = (pid: number): boolean =>
  descendantsOf(pid).some((each) => /^(orion-play|ansible-playb)/.test(read(`/proc/${each}/comm`)));

function descendantsOf(pid: number): number[] {
  const children = read(`/proc/${pid}/task/${pid}/children`)
    .split(' ')
    .filter((text) => text.trim() !== '')
    .map(Number);
  return children.flatMap((child) => [child, ...descendantsOf(child)]);
}

/** Empty when the process is gone. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
