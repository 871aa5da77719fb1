import type { Violation } from '../../checker/evidence';
import { carryOut, openArena, type FaultInjection } from '../fault-injections/arena';
import { OF_AUDIT } from '../fault-injections/of-audit';
import { OF_CLIENTS } from '../fault-injections/of-clients';
import { OF_PEOPLE } from '../fault-injections/of-people';
import { OF_RIGHTS } from '../fault-injections/of-rights';
import { OF_SCHEDULERS } from '../fault-injections/of-schedulers';
import { ON_NODES } from '../fault-injections/on-nodes';
import type { Outcome, Scenario, ScenarioRun } from '../scenario';

/**
 * What the fault injections have in common. The nodes that are free beside the leased ones are few, so that one that should not be free is
 * taken.
 */
interface Ground {
  real: boolean;
  nodes: number;
}

async function injectAll(run: ScenarioRun, ground: Ground, injections: FaultInjection[]): Promise<Outcome> {
  const arena = await openArena(ground);
  const violations: Violation[] = [];
  let done = 0;
  try {
    while (done < run.operations && !run.timeIsUp() && violations.length === 0) {
      const injection = injections[done % injections.length] as FaultInjection;
      violations.push(...(await carryOut(arena, injection)));
      done += 1;
      run.say(`${injection.name}: ${violations.length} violations`);
    }
    return { operations: done, faults: done, violations };
  } finally {
    await arena.system.close();
  }
}

const scenarioOf = (name: string, promise: string, ground: Ground, injections: FaultInjection[]): Scenario => ({
  name,
  promise,
  unit: 'fault injections',
  operations: { short: injections.length, long: 5 * injections.length },
  run: (run) => injectAll(run, ground, injections),
  parts: injections.map((injection) => ({
    name: `${name}/${injection.name}`,
    promise: injection.promise,
    unit: 'fault injections',
    operations: { short: 1, long: 5 },
    run: (run) => injectAll(run, ground, [injection]),
  })),
});

const ON_TABLES: Ground = { real: false, nodes: 6 };
const ON_MACHINES: Ground = { real: true, nodes: 3 };

export const faultInjections = scenarioOf(
  'fault-injections',
  'what clients, schedulers and outages can do to each other, each by itself and on purpose; plays are answered at once in place of Ansible',
  ON_TABLES,
  [...OF_CLIENTS, ...OF_SCHEDULERS, ...OF_PEOPLE, ...OF_AUDIT],
);

export const faultInjectionsOnNodes = scenarioOf(
  'fault-injections-real',
  'what tenants leave and machines do, each by itself and on purpose, with real Ansible and sshd',
  ON_MACHINES,
  [...ON_NODES, ...OF_RIGHTS],
);
