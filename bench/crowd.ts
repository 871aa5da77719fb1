import { startSystem, type System } from '../test/support/system';
import type { Tenant } from '../test/support/tenant';
import { type BareNode, openBareNode } from './bare-play';
import type { Benchmark, BenchRun, Row } from './benchmark';
import { byTurns, figure, ratioOf, timeMs } from './measure';
import { DEFAULT_SETTINGS } from './settings';

const CROWD = 8;

export const crowd: Benchmark = {
  name: 'crowd',
  method:
    `${CROWD} users rent one machine each at the same moment, of one API (prefork workers, 4 at once, \`ORION_PLAY_CONCURRENCY\`'s default) and ${CROWD} workers; until the last of them has run \`true\` in his account through OpenSSH. Against one such rent alone, and against ${CROWD} cold \`ansible-playbook create_user.yml\` started at the same moment on the same workers. By turns; between two, all nodes are wiped and free again. ` +
    `Control plane, workers and clients share the cores, which bound how many make progress at once; of one rent alone, the login is the greater part, and ${CROWD} handshakes are CPU too.`,
  run: (run) => measureCrowd(run),
};

async function measureCrowd({ short, say }: BenchRun): Promise<Row[]> {
  const system = await startSystem({ apis: 1, schedulers: 1, ownDatabase: true, env: DEFAULT_SETTINGS });
  try {
    const { workers } = await system.launchWorkers(CROWD);
    await system.untilFree(CROWD, 120_000);
    const tenants = await Promise.all(Array.from({ length: CROWD }, () => system.tenant()));
    const nodes = await Promise.all(workers.map((worker) => openBareNode(system, worker)));
    const one: number[] = [];
    const eight: number[] = [];
    const plays: number[] = [];
    await rentTogether(system, tenants.slice(0, 1));
    for (let round = 0; round < (short ? 1 : 4); round += 1) {
      const [alone = NaN, together = NaN, bare = NaN] = await byTurns(round, [
        () => rentTogether(system, tenants.slice(0, 1)),
        () => rentTogether(system, tenants),
        () => playTogether(nodes, tenants),
      ]);
      one.push(alone);
      eight.push(together);
      plays.push(bare);
      say(`one ${alone.toFixed(2)} s, ${CROWD} at once ${together.toFixed(2)} s, ${CROWD} one-off plays at once ${bare.toFixed(2)} s`);
    }
    const what = `${CROWD} rents at once, to the last working login`;
    return [
      {
        what,
        ours: figure(eight, 's'),
        against: 'one rent alone',
        base: figure(one, 's'),
        ratio: ratioOf(eight, one),
        goal: { atMost: 4 },
      },
      {
        what,
        ours: figure(eight, 's'),
        against: `${CROWD} one-off ansible-playbook at once`,
        base: figure(plays, 's'),
        ratio: ratioOf(eight, plays),
      },
    ];
  } finally {
    await system.close();
  }
}

/** Seconds until each of them is logged in; gives everything back. */
async function rentTogether(system: System, tenants: Tenant[]): Promise<number> {
  const leases: { tenant: Tenant; id: number }[] = [];
  const tookMs = await timeMs(() =>
    Promise.all(
      tenants.map(async (tenant) => {
        const lease = await tenant.rentOne();
        leases.push({ tenant, id: lease.id });
        const { code, stderr } = await tenant.login(lease, 'true');
        if (code !== 0) {
          throw new Error(`no login: ${stderr}`);
        }
      }),
    ),
  );
  await Promise.all(leases.map(({ tenant, id }) => tenant.release(id)));
  await system.untilFree(CROWD, 120_000);
  return tookMs / 1000;
}

async function playTogether(nodes: BareNode[], tenants: Tenant[]): Promise<number> {
  const made: (() => Promise<unknown>)[] = [];
  const tookMs = await timeMs(() =>
    Promise.all(
      nodes.map(async (node, at) => {
        const { account } = await node.create(tenants[at]?.publicKey ?? '');
        made.push(() => node.wipe(account));
      }),
    ),
  );
  await Promise.all(made.map((wipe) => wipe()));
  return tookMs / 1000;
}
