import { startMariaDb } from '../../../test/lab';
import type { World } from '../world';
import { planSystem, runOrion, startProxy, startRoles } from './system';
import { launchFleet } from './workers';

/** Everything as processes of this machine; its workers are namespaces. */
export const processes: World = {
  introduction: ({ dir }) => `Everything runs on this machine alone, on 127.0.0.0/8; its files and logs are in ${dir}`,
  launchFleet,
  startUp: async (lab, narrator, { username, password }) => {
    const database = await narrator.step('a database of its own is started (MariaDB)', () => startMariaDb(lab));
    const plan = await planSystem(lab, database);
    await narrator.step('its tables are made (orion migrate up)', () => runOrion(plan, ['migrate', 'up']));
    await narrator.step('the first operator gets an account (orion admin create)', () =>
      runOrion(plan, ['admin', 'create', username, '--password-stdin'], `${password}\n`),
    );
    const roles = await narrator.step('two APIs, two schedulers and a gateway are started', () => startRoles(plan));
    const proxy = await narrator.step('Caddy is put in front: the single way in, https for people, http for machines', () =>
      startProxy(plan),
    );
    return { ...roles, proxy };
  },
};
