import type { Worker } from '../test/lab';
import { startSystem, type System } from '../test/support/system';
import type { Tenant } from '../test/support/tenant';
import { type BareNode, openBareNode } from './bare-play';
import type { Benchmark, BenchRun, Row } from './benchmark';
import { byTurns, figure, ratioOf, timeMs } from './measure';
import { DEFAULT_SETTINGS } from './settings';

/** Seconds of one account's life, made by either side. */
interface Life {
  /** Until the account is there. */
  made: number;
  /** The first login after that. */
  login: number;
  /** From its end until nothing is left, verified. */
  gone: number;
}

export const rent: Benchmark = {
  name: 'rent',
  method:
    'One worker, one API, one scheduler, default settings: plays run in prefork workers, over pooled sessions. Ours: `POST /api/rent` until its answer, `ssh … true` with OpenSSH, `POST /api/release` until the node is free again (asked every 100 ms). Cold, on the same worker: `ansible-playbook create_user.yml` as Orion itself starts it with `ORION_WARM_PLAYS=false` (the same inventory, variables, ssh settings and environment, made beforehand), the same `ssh … true`, then `delete_user.yml` and `verify_clean.yml`. By turns. ' +
    'The release waits for a scheduler to look for dirty nodes, which it does every second, and its verification logs in anew. **prefork** has the rent alone, and its goals.',
  run: (run) => measureRents(run),
};

async function measureRents({ short, say }: BenchRun): Promise<Row[]> {
  const system = await startSystem({ apis: 1, schedulers: 1, ownDatabase: true, env: DEFAULT_SETTINGS });
  try {
    const { workers } = await system.launchWorkers(1);
    await system.untilFree(1, 90_000);
    const worker = workers[0] as Worker;
    const tenant = await system.tenant();
    const node = await openBareNode(system, worker);
    const ours: Life[] = [];
    const bare: Life[] = [];
    const rounds = short ? 2 : 9;
    for (let round = 0; round <= rounds; round += 1) {
      const [one, other] = await byTurns(round, [() => rentOnce(system, tenant), () => playOnce(node, tenant)]);
      if (one && other && round > 0) {
        ours.push(one);
        bare.push(other);
        say(
          `rent ${one.made.toFixed(2)} + ${one.login.toFixed(2)} s, play ${other.made.toFixed(2)} + ${other.login.toFixed(2)} s; release ${one.gone.toFixed(2)} s, two plays ${other.gone.toFixed(2)} s`,
        );
      }
    }
    return rowsOf(ours, bare);
  } finally {
    await system.close();
  }
}

function rowsOf(ours: Life[], bare: Life[]): Row[] {
  const row = (what: string, against: string, { mine, base }: { mine: (life: Life) => number; base: (life: Life) => number }): Row => ({
    what,
    against,
    ours: figure(ours.map(mine), 's'),
    base: figure(bare.map(base), 's'),
    ratio: ratioOf(ours.map(mine), bare.map(base)),
  });
  const made = (life: Life): number => life.made;
  const loggedIn = (life: Life): number => life.made + life.login;
  const gone = (life: Life): number => life.gone;
  return [
    { ...row('rent to working login', 'one one-off ansible-playbook', { mine: loggedIn, base: made }), goal: { atMost: 1.1 } },
    row('rent to the account', 'one one-off ansible-playbook', { mine: made, base: made }),
    row('rent to working login', 'one one-off ansible-playbook and the same login', { mine: loggedIn, base: loggedIn }),
    row('release to wiped, verified, free', 'the two one-off ansible-playbook runs of it', { mine: gone, base: gone }),
  ];
}

async function rentOnce(system: System, tenant: Tenant): Promise<Life> {
  let lease = undefined as Awaited<ReturnType<Tenant['rentOne']>> | undefined;
  const made = await timeMs(async () => (lease = await tenant.rentOne()));
  const got = lease;
  if (!got) {
    throw new Error('a rent without a lease');
  }
  const login = await timeMs(async () => {
    const { code, stderr } = await tenant.login(got, 'true');
    if (code !== 0) {
      throw new Error(`no login: ${stderr}`);
    }
  });
  const gone = await timeMs(async () => {
    await tenant.release(got.id);
    await system.untilFree(1, 60_000);
  });
  return { made: made / 1000, login: login / 1000, gone: gone / 1000 };
}

async function playOnce(node: BareNode, tenant: Tenant): Promise<Life> {
  const { account, seconds: made } = await node.create(tenant.publicKey);
  const login = await node.login(account, tenant.keyFile);
  const wiped = await node.wipe(account);
  return { made, login, gone: wiped + (await node.verify(account)) };
}
