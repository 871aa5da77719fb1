import { check, checkEqual } from '../narrator';
import { getNode, type Stage, until } from '../stage';
import { findTracks } from '../tracks';
import type { Fleet } from '../world';
import type { Casualty } from './failure';

/** The dead machine comes back with its old files: it is wiped before anybody may have it. */
export async function resurrect({ narrator, operator }: Stage, fleet: Fleet, { machine, tenant }: Casualty): Promise<void> {
  const { id, hostname } = machine;
  narrator.chapter('The dead machine comes back');
  const old = await fleet.filesOf(hostname, tenant.uid);
  check(old.length > 0, 'the machine brings back what was on it');
  narrator.note(`Its disk holds ${old.length} files of ada: ${old.slice(0, 3).join(', ')}, …`);
  const since = performance.now();
  await narrator.step(`power is back: ${hostname} starts with its old files`, () => fleet.start(hostname));
  await narrator.step(
    'waiting until it is verified, wiped, and free',
    () => until(async () => (await getNode(operator, id)).free, { what: `${hostname} is free`, everyMs: 50 }),
    () => `${hostname} is verified and wiped, and only then free`,
  );
  narrator.measured('from coming back to being free', (performance.now() - since) / 1000);
  await narrator.step('looking inside as root, at once: nothing of ada is left', async () => {
    checkEqual((await findTracks(fleet, hostname, tenant)).join('; '), '', 'what is left of ada');
    checkEqual((await getNode(operator, id)).lease_id, null, 'the lease of a free machine');
  });
}
