import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, type Lab, type LabProcess, projectDir, startProcess } from '../../lab';
import type { GatewayPlan } from './gateway-process';

/** Starts a gateway in a process of its own. */
export async function startGatewayProcess(lab: Lab, plan: GatewayPlan): Promise<{ process: LabProcess; port: number }> {
  const file = join(lab.dir, `plan-${randomUUID()}.json`);
  writeFileSync(file, JSON.stringify(plan), { mode: 0o600 });
  const gateway = startProcess(lab, {
    name: 'gateway',
    command: process.execPath,
    args: ['--import', 'tsx', join(import.meta.dirname, 'gateway-process.ts'), file],
    cwd: projectDir,
  });
  return {
    process: gateway,
    port: await eventually(() => Number(/port (\d+)/.exec(gateway.log())?.[1] ?? 0), { what: 'the gateway listens', timeoutMs: 40_000 }),
  };
}
