import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { messageOf } from '../../src/lib/errors';
import { programDir } from '../lab';
import type { Problem } from '../../src/contract';
import { useFleet, useSystem } from '../support/hooks';
import type { Replica } from '../support/replica';
import type { Tenant } from '../support/tenant';
import { makeNextRelease, migrate, NEXT_MIGRATION_NAME } from './support/releases';

const WORKERS = 6;
const TENANTS = 3;
const ENV = { ORION_CONTACT_LIMIT_SECONDS: '15', ORION_PLAY_CONCURRENCY: '8' };

let load: Load | undefined;
afterAll(() => load?.stop());
const system = useSystem({ apis: 2, schedulers: 1, faults: { instantPlays: true }, env: ENV });
let next: string;
useFleet(system, WORKERS);
beforeAll(() => {
  next = makeNextRelease(system.lab);
}, 120_000);

/** Tenants who rent, look and release without a pause, at replicas that take work. */
interface Load {
  answered: number;
  failed: string[];
  stop(): Promise<void>;
}

async function startLoad(): Promise<Load> {
  const tenants = await Promise.all(Array.from({ length: TENANTS }, () => system.tenant()));
  let isOver = false;
  const run = async (tenant: Tenant): Promise<void> => {
    for (let turn = 0; !isOver; turn += 1) {
      const at = system.apis[turn % system.apis.length]?.url ?? '';
      await cycle(tenant, at).then(
        (calls) => (started.answered += calls),
        (error: unknown) => started.failed.push(messageOf(error)),
      );
    }
  };
  const started: Load = {
    answered: 0,
    failed: [],
    stop: async () => {
      isOver = true;
      await done;
    },
  };
  const done = Promise.all(tenants.map(run));
  return started;
}

/** One lease from rent to release; gives the calls. That every node is taken at this moment is an answer. */
async function cycle(tenant: Tenant, at: string): Promise<number> {
  const rented = await tenant.rent({ at });
  if (rented.status === 503 && (rented.body as unknown as Problem).code === 'no_node_free') {
    return 1;
  }
  const [lease] = good(rented).leases;
  good(await tenant.client.at(at).get(`/api/leases?limit=20`));
  good(await tenant.client.at(at).post('/api/release', { lease_id: lease?.id }));
  return 3;
}

function good<T>({ status, body }: { status: number; body: T }): T {
  if (status >= 300) {
    throw new Error(`answered ${status}: ${JSON.stringify(body)}`);
  }
  return body;
}

/** A new replica takes over from an old one, as in a rolling update. */
async function replaceAll(folder: string): Promise<void> {
  for (const old of system.apis.slice()) {
    await system.startApi({ programDir: folder });
    await retire(system.apis, old);
  }
  const [old] = system.schedulers;
  await system.startScheduler({}, folder);
  await retire(system.schedulers, old);
}

async function retire(replicas: Replica[], old: Replica | undefined): Promise<void> {
  replicas.splice(replicas.indexOf(old as Replica), 1);
  expect((await old?.stop(30_000))?.code).toBe(0);
}

const nothingToDo = { code: 0, stdout: 'nothing to do\n' };

describe('an update, the way back, and the update again, under load', () => {
  it('R33: fail no request and lose no node', async () => {
    load = await startLoad();
    expect(await migrate(next, 'up', system.env)).toMatchObject({ code: 0, stdout: `applied  ${NEXT_MIGRATION_NAME}\n` });
    await replaceAll(next);

    await replaceAll(programDir);
    expect(await migrate(programDir, 'up', system.env)).toMatchObject(nothingToDo);
    expect((await migrate(programDir, 'status', system.env)).stdout).toContain(`newer    ${NEXT_MIGRATION_NAME}`);
    expect(await migrate(programDir, 'down', system.env)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Only that version can take it back'),
    });
    expect(await migrate(next, 'down', system.env)).toMatchObject({ code: 0, stdout: `taken back  ${NEXT_MIGRATION_NAME}\n` });

    expect(await migrate(next, 'up', system.env)).toMatchObject({ code: 0 });
    await replaceAll(next);
    await load.stop();
    expect(load.failed).toEqual([]);
    expect(load.answered).toBeGreaterThan(100);
    expect(await system.sql("SELECT type, node_id FROM events WHERE type IN ('node.dead', 'lease.moved')")).toEqual([]);
    expect(await system.violations()).toEqual([]);
  }, 240_000);

  it('R33: an older replica says once that the schema is newer', async () => {
    const older = await system.startApi({ programDir });
    expect(older.log().match(/schema is newer than this program/g)).toHaveLength(1);
  }, 60_000);
});
