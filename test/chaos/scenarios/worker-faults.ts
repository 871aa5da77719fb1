import { messageOf } from '../../../src/lib/errors';
import type { Violation } from '../../checker/evidence';
import type { Random } from '../random';
import { broken, type Outcome, type Scenario, type ScenarioRun } from '../scenario';
import { CONTROL_PLANE_FAULTS } from '../worker-faults/control-plane';
import type { Fault } from '../worker-faults/fault';
import { FLEET_FAULTS } from '../worker-faults/fleet';
import { IDENTITY_FAULTS } from '../worker-faults/identity';
import { MACHINE_FAULTS } from '../worker-faults/machines';
import { setStage, type Stage } from '../worker-faults/stage';

const FAULTS: Fault[] = [...MACHINE_FAULTS, ...IDENTITY_FAULTS, ...FLEET_FAULTS, ...CONTROL_PLANE_FAULTS];

/** The machines are looked into after so many, for which the tenants have to stand still. */
const LOOK_EVERY = 5;

async function run(scenario: ScenarioRun): Promise<Outcome> {
  const stage = await setStage(scenario.random);
  const violations: Violation[] = [];
  const kinds = new Set<Fault>();
  let done = 0;
  try {
    let order: Fault[] = [];
    while (done < scenario.operations && !scenario.timeIsUp() && violations.length === 0) {
      order = order.length > 0 ? order : scenario.random.shuffle(FAULTS);
      const fault = order.pop() as Fault;
      const begun = performance.now();
      const found = await inflict(stage, fault, scenario.random.fork(`fault-${done}`));
      done += 1;
      kinds.add(fault);
      if (done % LOOK_EVERY === 0 && found.length === 0) {
        found.push(...(await findings(stage, { after: fault.name, nodes: true })));
      }
      violations.push(...found);
      scenario.say(
        `${fault.name}: ${((performance.now() - begun) / 1000).toFixed(1)} s${found.length > 0 ? `, ${found.length} VIOLATIONS` : ''}`,
      );
    }
    violations.push(...(await findings(stage, { after: 'all', nodes: violations.length === 0 })));
    return { operations: done, faults: done, figures: { 'kinds of fault': kinds.size, ...figures(stage) }, violations };
  } finally {
    await stage.close();
  }
}

async function inflict(stage: Stage, fault: Fault, random: Random): Promise<Violation[]> {
  try {
    await fault.carryOut(stage, random);
    await stage.untilCalm();
  } catch (error) {
    return [
      broken('the promised end comes', fault.name, messageOf(error)),
      ...(await findings(stage, { after: fault.name, nodes: false })),
    ];
  }
  return findings(stage, { after: fault.name, nodes: false });
}

async function findings(stage: Stage, { after, nodes }: { after: string; nodes: boolean }): Promise<Violation[]> {
  const found = await stage.judge({ nodes }).catch((error: unknown) => [broken('the judge can look', after, messageOf(error))]);
  return [...stage.life.oddities.splice(0), ...found].map((violation) => ({ ...violation, what: `${violation.what} (after: ${after})` }));
}

function figures({ moves, history }: Stage): Record<string, number> {
  const inOrder = [...moves].sort((a, b) => a - b);
  const counted = (outcome: string): number => history.operations.filter((operation) => operation.outcome === outcome).length;
  return {
    moves: moves.length,
    'blow to login elsewhere, s (median)': inOrder[Math.floor(inOrder.length / 2)] ?? NaN,
    'blow to login elsewhere, s (worst)': inOrder.at(-1) ?? NaN,
    'requests served': counted('ok'),
    'requests without a certain answer': counted('unknown'),
  };
}

export const workerFaults: Scenario = {
  name: 'worker-faults',
  promise:
    'machines killed, hung, rebooted, exchanged, half dead, all at once; MariaDB, an API, a scheduler gone: every lease is where it should be, real Ansible and logins',
  unit: 'faults',
  operations: { short: 5, long: 100 },
  run,
};
