import { readFileSync } from 'node:fs';
import { afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { claimProbes, probeNode, type ProbeContext } from '../../../src/flows/health/probe-node';
import { createKeepaliveProbes, type KeepaliveProbes } from '../../../src/flows/health/keepalive-probes';
import { systemClock } from '../../../src/lib/clock';
import { fingerprintOf } from '../../../src/lib/host-key';
import { createPooledSessions, createProber, type Dial, dialDirectly, type PooledSessions } from '../../../src/ssh';
import { openTrap } from '../../chaos/rogue/traps';
import { eventually, generateSshKeyPair } from '../../lab';
import { aNode } from '../../support/builders';
import { createTestContext, testSettings } from '../../support/context';
import { age, count, row } from '../../support/database';
import { createFakeProvisioner } from '../../support/fake-provisioner';
import { useForAll, useLab, useTestDatabase, useWorker } from '../../support/hooks';

jest.setTimeout(60_000);

const TIMEOUT_MS = 2_000;
const health = { ...testSettings.health, intervalSeconds: 3 };

const lab = useLab();
const database = useTestDatabase({ resetEach: true });
let login: { username: string; privateKey: string; dial: Dial };
const worker = useWorker(lab);
const managementKey = useForAll(() => generateSshKeyPair(lab.dir));
/** Connections that were opened, by whomever. */
let dialled = 0;
beforeAll(async () => {
  login = {
    username: 'root',
    privateKey: readFileSync(managementKey.keyFile, 'utf8'),
    dial: (...args) => {
      dialled += 1;
      return dialDirectly(...args);
    },
  };
  await worker.authorizeRoot(managementKey.publicKey);
}, 60_000);

/** A scheduler's part, pinging by itself; `suspected` counts how often it woke the probes. */
interface Keeper {
  probes: KeepaliveProbes;
  sessions: PooledSessions;
  suspected: () => number;
  pause: () => Promise<void>;
  stop: () => Promise<void>;
}

let ctx: ProbeContext;
const keepers: Keeper[] = [];

function startKeeper(): Keeper {
  const sessions = createPooledSessions({ ...login, clock: systemClock, loginTimeoutMs: TIMEOUT_MS, idleMs: Infinity, max: 10 });
  let suspected = 0;
  const paused = new AbortController();
  const probes = createKeepaliveProbes(
    { ...ctx, sessions },
    { max: 10, timeoutMs: TIMEOUT_MS, deepCheckSeconds: 600, onLost: () => undefined, onSuspect: () => (suspected += 1) },
  );
  const pinging = (async () => {
    while (!paused.signal.aborted) {
      await probes.pingDue();
      await systemClock.sleep(20, paused.signal);
    }
  })();
  const pause = async (): Promise<void> => {
    paused.abort();
    await pinging;
  };
  const keeper = { probes, sessions, suspected: () => suspected, pause, stop: () => pause().then(() => probes.stop()) };
  keepers.push(keeper);
  return keeper;
}

beforeEach(() => {
  const base = createTestContext(database.db, createFakeProvisioner(), { health });
  ctx = { ...base, prober: createProber({ ...login, timeoutMs: TIMEOUT_MS, clock: systemClock }) };
});
afterEach(async () => {
  await Promise.all(keepers.splice(0).map((keeper) => keeper.stop()));
});

async function enrol({ address, port, hostKey }: { address: string; port: number; hostKey: string }): Promise<number> {
  const { id } = await aNode(database.db);
  await age(
    database.db,
    'UPDATE nodes SET address = ?, ssh_port = ?, host_key = ?, host_key_fingerprint = ?, last_checked_at = UTC_TIMESTAMP(3) - INTERVAL 1 HOUR, probe_due_at = UTC_TIMESTAMP(3) WHERE id = ?',
    [address, port, hostKey, fingerprintOf(hostKey), id],
  );
  await probeDue();
  return id;
}

/** What the probe loop does: the one judge. */
async function probeDue(): Promise<number> {
  const claims = await claimProbes(ctx, 10);
  await Promise.all(claims.map((claim) => probeNode(ctx, claim)));
  return claims.length;
}

const isDue = async (): Promise<boolean> =>
  (await count(database.db, 'SELECT COUNT(*) FROM nodes WHERE probe_due_at <= UTC_TIMESTAMP(3)')) > 0;
const checked = async (): Promise<string> =>
  String((await row<{ at: unknown }>(database.db, 'SELECT CAST(last_checked_at AS CHAR) AS at FROM nodes')).at);
const status = async (): Promise<string> => (await row<{ status: string }>(database.db, 'SELECT status FROM nodes')).status;
const untilRenewed = async (by?: () => Promise<void>): Promise<void> => {
  const before = await checked();
  await by?.();
  await eventually(async () => (await checked()) !== before, { what: 'an answer counted as a probe' });
};
/** Opens the connection and waits until the first answer has counted. */
async function keepOne(): Promise<Keeper> {
  const keeper = startKeeper();
  await untilRenewed(() => keeper.probes.renewShards());
  return keeper;
}

describe('probes over pooled sessions', () => {
  it('R20: a node that answers over its connection does not come due', async () => {
    await enrol(worker);
    await keepOne();
    const before = dialled;
    for (let n = 0; n < 4; n += 1) {
      await untilRenewed();
      expect(await isDue()).toBe(false);
    }
    expect(dialled).toBe(before);
  });

  it('R20: a fresh login is due all the same after a while', async () => {
    await enrol(worker);
    await keepOne();
    await age(database.db, 'UPDATE nodes SET logged_in_at = UTC_TIMESTAMP(3) - INTERVAL 10 MINUTE');
    await eventually(isDue, { what: 'it comes due although it answers' });
    expect(await probeDue()).toBe(1);
    expect(await status()).toBe('alive');
    await untilRenewed();
  });

  it('R20: a worker that is killed is due for a probe at once, and suspected by it', async () => {
    // By the schedule of the pings it would be noticed after a minute.
    ctx.settings.health = { ...health, intervalSeconds: 100 };
    await enrol(worker);
    const { suspected } = await keepOne();
    await worker.kill();
    try {
      await eventually(async () => (await isDue()) && suspected() === 1, { what: 'it is due, and the scheduler is woken once' });
      await probeDue();
      expect(await status()).toBe('suspect');
    } finally {
      await worker.start();
    }
  });

  it('R20: one that hangs is due within the interval, whether or not its ping has timed out', async () => {
    await enrol(worker);
    await keepOne();
    await worker.freeze();
    try {
      await eventually(isDue, { what: 'it is due' });
      expect(
        await row(database.db, 'SELECT probe_due_at <= last_checked_at + INTERVAL ? SECOND AS in_time FROM nodes', [
          health.intervalSeconds,
        ]),
      ).toEqual({ in_time: 1 });
    } finally {
      await worker.thaw();
    }
    // None is due when its ping was answered in the moment since.
    expect(await probeDue()).toBeLessThanOrEqual(1);
    expect(await status()).toBe('alive');
  });

  it('I6: a machine with another host key in its place is never taken for it', async () => {
    await enrol(worker);
    const { sessions } = await keepOne();
    const key = worker.hostKey;
    await worker.stop();
    await worker.start({ fresh: true });
    expect(worker.hostKey).not.toBe(key);
    await eventually(isDue, { what: 'it is due' });
    const before = await checked();
    await age(database.db, 'UPDATE nodes SET probe_due_at = UTC_TIMESTAMP(3) + INTERVAL 1 HOUR');
    await eventually(isDue, { what: 'a login is tried in vain, and the node is due again', timeoutMs: 2 * health.intervalSeconds * 1000 });
    expect(await checked()).toBe(before);
    expect(sessions.size).toBe(0);
    await probeDue();
    expect(await status()).toBe('quarantined');
    await worker.authorizeRoot(managementKey.publicKey);
  });
});

describe('connections are closed', () => {
  it.each(["status = 'quarantined'", "status = 'retired'", 'leaving = 1'])('R6: of a node that is %s', async (change) => {
    await enrol(worker);
    const { probes, sessions, suspected } = await keepOne();
    expect(sessions.size).toBe(1);
    await age(database.db, `UPDATE nodes SET ${change}`);
    await probes.renewShards();
    expect(sessions.size).toBe(0);
    expect(suspected()).toBe(0);
  });

  it('R25: by a scheduler that lost its shards, which another one looks after then', async () => {
    await enrol(worker);
    const stale = await keepOne();
    await stale.pause();
    await age(database.db, 'UPDATE probe_owners SET expires_at = UTC_TIMESTAMP(3)');
    const next = await keepOne();
    expect(next.sessions.size).toBe(1);
    await stale.probes.renewShards();
    expect(stale.sessions.size).toBe(0);
  });

  it('I10: to a machine that talks without being asked', async () => {
    const trap = await openTrap(lab, 'sly-restless');
    await enrol(trap);
    const { probes, sessions } = startKeeper();
    await probes.renewShards();
    await eventually(() => trap.admitted() >= 2, { what: 'the connection is opened' });
    await eventually(() => sessions.size === 0, { what: 'it is cut' });
    await eventually(isDue, { what: 'the node is due for a probe' });
  });
});
