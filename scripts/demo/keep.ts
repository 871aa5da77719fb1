import { spawn } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from '../../test/lab';
import { startTimeOf } from '../../test/lab/guard';
import { projectDir } from '../../test/lab/paths';
import type { People } from './chapters/accounts';
import type { Stage } from './stage';

/** Starts the process with which a kept demo lives and ends; until the demo hands over, it ends with the demo. Returns its pid. */
export function startKeeper(): number {
  const script = join(projectDir, 'scripts', 'demo', 'keeper.sh');
  const child = spawn('bash', [script, String(process.pid), startTimeOf(process.pid) ?? '0'], {
    detached: true,
    stdio: 'ignore',
    cwd: '/',
  });
  child.unref();
  if (child.pid === undefined) {
    throw new Error('the keeper could not be started');
  }
  return child.pid;
}

/** From here on this process may end; the state file is what `--stop` finds. */
export function handOver(lab: Lab, keeperPid: number): void {
  const stateFile = join(lab.dir, 'demo.state');
  writeFileSync(`${stateFile}.new`, `${projectDir}\n${keeperPid} ${startTimeOf(keeperPid) ?? '0'}\n`);
  renameSync(`${stateFile}.new`, stateFile);
  process.kill(keeperPid, 'SIGUSR1');
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** What whoever stays has to know. */
export function instructions(lab: Lab, { plane: { proxy }, operatorAccount }: Stage, { ada }: People): string {
  const orion = quoted(join(projectDir, 'bin', 'orion'));
  const demo = quoted(join(projectDir, 'scripts', 'demo.sh'));
  const login = (name: string, password: string): string =>
    `  printf '%s\\n' ${quoted(password)} | ${orion} login --username ${name} --password-stdin`;
  return [
    '',
    `Everything is still running, with six machines, in ${lab.dir}`,
    `  API    ${proxy.httpsUrl}   (description: ${proxy.httpsUrl}/api/docs)`,
    `  CA     ${proxy.caFile}`,
    '',
    'To rent a machine and get a shell on it:',
    `  export ORION_SERVER=${proxy.httpsUrl}`,
    `  export ORION_CA_FILE=${quoted(proxy.caFile)}`,
    `  export ORION_CONFIG_DIR=${quoted(join(lab.dir, 'client'))}`,
    login(ada.name, ada.password),
    `  ${orion} rent --minutes 30 --ssh`,
    '',
    'As the operator:',
    login(operatorAccount.username, operatorAccount.password),
    `  ${orion} nodes`,
    '',
    'To end it and remove everything:',
    `  ${demo} --stop ${quoted(lab.dir)}`,
    '',
  ].join('\n');
}
