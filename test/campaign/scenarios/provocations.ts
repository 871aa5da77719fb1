import type { Violation } from '../../checker/evidence';
import { carryOut, openArena, type Provocation } from '../provocations/arena';
import { OF_AUDIT } from '../provocations/of-audit';
import { OF_CLIENTS } from '../provocations/of-clients';
import { OF_RIGHTS } from '../provocations/of-rights';
import { OF_SCHEDULERS } from '../provocations/of-schedulers';
import { ON_NODES } from '../provocations/on-nodes';
import type { Outcome, Scenario, ScenarioRun } from '../scenario';

/** What the provocations have in common. The nodes that are free beside the leased ones are few, so that one that should not be free is taken. */
interface Ground {
  real: boolean;
  nodes: number;
}

async function provokeAll(run: ScenarioRun, ground: Ground, provocations: Provocation[]): Promise<Outcome> {
  const arena = await openArena(ground);
  const violations: Violation[] = [];
  let done = 0;
  try {
    while (done < run.operations && !run.timeIsUp() && violations.length === 0) {
      const provocation = provocations[done % provocations.length] as Provocation;
      violations.push(...(await carryOut(arena, provocation)));
      done += 1;
      run.say(`${provocation.name}: ${violations.length} violations`);
    }
    return { operations: done, faults: done, violations };
  } finally {
    await arena.system.close();
  }
}

const scenarioOf = (name: string, promise: string, ground: Ground, provocations: Provocation[]): Scenario => ({
  name,
  promise,
  unit: 'provocations',
  operations: { short: provocations.length, long: 5 * provocations.length },
  run: (run) => provokeAll(run, ground, provocations),
  parts: provocations.map((provocation) => ({
    name: `${name}/${provocation.name}`,
    promise: provocation.promise,
    unit: 'provocations',
    operations: { short: 1, long: 5 },
    run: (run) => provokeAll(run, ground, [provocation]),
  })),
});

const ON_TABLES: Ground = { real: false, nodes: 6 };
const ON_MACHINES: Ground = { real: true, nodes: 3 };

export const provocations = scenarioOf(
  'provocations',
  'what clients, schedulers and outages can do to each other, each by itself and on purpose; plays are answered at once in place of Ansible',
  ON_TABLES,
  [...OF_CLIENTS, ...OF_SCHEDULERS, ...OF_AUDIT],
);

export const provocationsOnNodes = scenarioOf('provocations-real', 'what tenants leave and machines do, each by itself and on purpose, with real Ansible and sshd', ON_MACHINES, [...ON_NODES, ...OF_RIGHTS]);
