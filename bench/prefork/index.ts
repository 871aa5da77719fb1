import type { Worker } from '../../test/lab';
import { startSystem, type System } from '../../test/support/system';
import type { Tenant } from '../../test/support/tenant';
import { type BareNode, openBareNode } from '../bare-play';
import type { Benchmark, BenchRun, Row } from '../benchmark';
import { byTurns, figure, ratioOf, timeMs } from '../measure';
import { DEFAULT_SETTINGS } from '../settings';
import { type BareShell, openBareShell } from './bare-shell';

const CROWD = 10;

export const prefork: Benchmark = {
  name: 'prefork',
  method:
    'One API, one scheduler, default settings; `POST /api/rent` until its answer, the account in place. First on one worker, by turns with a one-off `ansible-playbook create_user.yml` (as in **rent**) and with a shell script (groupadd, useradd, chage, a key) over an SSH connection that stays open; the API has such a connection, too, from the second rent on. ' +
    `Then ${CROWD} workers: one rent after another on each, where the API has to log in first; then one rent and ${CROWD} at the same moment, by turns. Between two rounds all nodes are wiped and free again.`,
  run: (run) => measurePrefork(run),
};

async function measurePrefork(run: BenchRun): Promise<Row[]> {
  const system = await startSystem({ apis: 1, schedulers: 1, ownDatabase: true, env: { ...DEFAULT_SETTINGS, ORION_MAX_LEASES: '20' } });
  try {
    const tenant = await system.tenant();
    const { one, oneOff, shell } = await measureOne(system, tenant, run);
    const { first, alone, together } = await measureCrowd(system, tenant, run);
    const what = 'rent to the account, over a pooled session';
    return [
      {
        what,
        ours: figure(one, 's'),
        against: 'a one-off ansible-playbook',
        base: figure(oneOff, 's'),
        ratio: ratioOf(one, oneOff),
        goal: { atMost: 0.06 },
      },
      {
        what,
        ours: figure(one, 's'),
        against: 'a shell script over a pooled session',
        base: figure(shell, 's'),
        ratio: ratioOf(one, shell),
        goal: { atMost: 6 },
      },
      {
        what: 'rent to the account, first on its node',
        ours: figure(first, 's'),
        against: 'one over a pooled session, a moment later',
        base: figure(alone, 's'),
        ratio: { value: figure(first, 's').value / figure(alone, 's').value },
      },
      {
        what: `${CROWD} rents at once, to the last account`,
        ours: figure(together, 's'),
        against: 'one rent',
        base: figure(alone, 's'),
        ratio: ratioOf(together, alone),
        goal: { atMost: 6 },
      },
    ];
  } finally {
    await system.close();
  }
}

async function measureOne(
  system: System,
  tenant: Tenant,
  { short, say }: BenchRun,
): Promise<{ one: number[]; oneOff: number[]; shell: number[] }> {
  const { workers } = await system.launchWorkers(1);
  await system.untilFree(1, 90_000);
  const worker = workers[0] as Worker;
  const node = await openBareNode(system, worker);
  const bare = await openBareShell(
    { nodeId: 0, address: worker.address, port: worker.port, hostKey: worker.hostKey },
    system.env['ORION_SSH_KEY_FILE'] ?? '',
  );
  const [one, oneOff, shell]: [number[], number[], number[]] = [[], [], []];
  try {
    for (let round = 0; round <= (short ? 4 : 15); round += 1) {
      const [a = NaN, b = NaN, c = NaN] = await byTurns(round, [
        () => rentOne(system, tenant),
        () => playOne(node, tenant),
        () => shellOne(node, bare, tenant),
      ]);
      if (round > 0) {
        one.push(a);
        oneOff.push(b);
        shell.push(c);
        say(`rent ${a.toFixed(3)} s, one-off play ${b.toFixed(2)} s, shell ${c.toFixed(3)} s`);
      }
    }
  } finally {
    bare.close();
  }
  return { one, oneOff, shell };
}

async function measureCrowd(
  system: System,
  tenant: Tenant,
  { short, say }: BenchRun,
): Promise<{ first: number[]; alone: number[]; together: number[] }> {
  await system.launchWorkers(CROWD - 1);
  await system.untilFree(CROWD, 120_000);
  const first: number[] = [];
  const leases: number[] = [];
  for (let at = 0; at < CROWD; at += 1) {
    first.push((await timeMs(async () => leases.push((await tenant.rentOne()).id))) / 1000);
  }
  await giveBack(system, tenant, leases);
  const [alone, together]: [number[], number[]] = [[], []];
  for (let round = 0; round < (short ? 2 : 6); round += 1) {
    const [a = NaN, b = NaN] = await byTurns(round, [() => rentTogether(system, tenant, 1), () => rentTogether(system, tenant, CROWD)]);
    alone.push(a);
    together.push(b);
    say(`one ${a.toFixed(3)} s, ${CROWD} at once ${b.toFixed(3)} s`);
  }
  // The worker of the first part has a connection already.
  return {
    first: first
      .slice()
      .sort((a, b) => a - b)
      .slice(1),
    alone,
    together,
  };
}

async function giveBack(system: System, tenant: Tenant, leases: number[]): Promise<void> {
  await Promise.all(leases.map((id) => tenant.release(id)));
  await system.untilFree(CROWD, 120_000);
}

async function rentTogether(system: System, tenant: Tenant, count: number): Promise<number> {
  const leases: number[] = [];
  const tookMs = await timeMs(() => Promise.all(Array.from({ length: count }, async () => leases.push((await tenant.rentOne()).id))));
  await giveBack(system, tenant, leases);
  return tookMs / 1000;
}

async function rentOne(system: System, tenant: Tenant): Promise<number> {
  let id = 0;
  const tookMs = await timeMs(async () => (id = (await tenant.rentOne()).id));
  await tenant.release(id);
  await system.untilFree(1, 60_000);
  return tookMs / 1000;
}

async function playOne(node: BareNode, tenant: Tenant): Promise<number> {
  const { account, seconds } = await node.create(tenant.publicKey);
  await node.wipe(account);
  return seconds;
}

async function shellOne(node: BareNode, bare: BareShell, tenant: Tenant): Promise<number> {
  const account = await node.reserve();
  const seconds = await bare.create(account, tenant.publicKey);
  await node.wipe(account);
  return seconds;
}
