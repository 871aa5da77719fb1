import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { drain } from '../../../src/flows/nodes/operate-node';
import { expireLeases } from '../../../src/flows/leases/expire-leases';
import { migrateNextLease } from '../../../src/flows/migration/migrate-leases';
import { claimPlacements } from '../../../src/flows/placements/run-placement';
import { claimWipes } from '../../../src/flows/placements/wipe-node';
import type { WorkContext } from '../../../src/flows/support/context';
import { createLogger, type LogFields } from '../../../src/lib/logger';
import { inTrace } from '../../../src/lib/trace';
import type { User } from '../../../src/modules/accounts';
import { findCause } from '../../../src/modules/leases';
import { startTestApi, type TestApi } from '../../support/api';
import { aLease, aNode, aUser } from '../../support/builders';
import { createTestContext } from '../../support/context';
import { age, openTestDatabase, row, rows, type TestDatabase } from '../../support/database';
import { createFakeProvisioner } from '../../support/fake-provisioner';
import { anSshKey } from '../../support/keys';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const OTHER = '1bf7651916cd43dd8448eb211c80319d';
const traceparent = (trace: string): string => `00-${trace}-b7ad6b7169203331-01`;

let database: TestDatabase;
let api: TestApi;
let user: User;
let lines: (LogFields & { message: string })[] = [];
let scheduler: WorkContext;
beforeAll(async () => {
  database = await openTestDatabase();
  api = await startTestApi(database.db);
  const logger = createLogger('info', (_level, message, fields) => void lines.push({ ...fields, message }));
  scheduler = { ...createTestContext(database.db, createFakeProvisioner()), logger };
}, 60_000);
afterAll(async () => {
  await api.close();
  await database.close();
});
beforeEach(async () => {
  await database.reset();
  lines = [];
  user = await aUser(database.db);
});

interface Called {
  leaseId: number;
  requestId: string;
}

async function rent(headers: Record<string, string>): Promise<Called> {
  const body = { duration_hours: 1, ssh_public_key: anSshKey() };
  const answer = await api.call<{ leases: { id: number }[] }>('post', '/api/rent', { as: user, body, headers });
  expect(answer.status).toBe(201);
  return { leaseId: answer.body.leases[0]?.id ?? 0, requestId: String(answer.headers['x-request-id']) };
}

const traceIdOf = (cause: { traceparent: string | null }): string | undefined => cause.traceparent?.split('-')[1];
const tracesOf = async (type: string): Promise<unknown[]> =>
  (await rows<{ id: string }>(database.db, 'SELECT trace_id AS id FROM events WHERE type = ?', [type])).map(({ id }) => id);

describe('a rent', () => {
  it('R40: stores its trace and its request with its placement and its events, and continues the trace of its caller', async () => {
    await Promise.all([aNode(database.db), aNode(database.db)]);
    const { leaseId, requestId } = await rent({ traceparent: traceparent(TRACE) });
    const cause = await findCause(database.db, leaseId);
    expect([cause.requestId, traceIdOf(cause)]).toEqual([requestId, TRACE]);
    expect(await tracesOf('lease.requested')).toEqual([TRACE]);
    expect(await tracesOf('lease.active')).toEqual([TRACE]);
    const second = await rent({ traceparent: 'nonsense' });
    expect(await findCause(database.db, second.leaseId)).toMatchObject({
      requestId: second.requestId,
      traceparent: expect.stringMatching(/^00-(?!0af7)[\da-f-]{52}$/),
    });
  });

  it('R40: is the cause that a scheduler finds with its placement; an extension becomes the next cause', async () => {
    await aNode(database.db);
    const { leaseId } = await rent({ traceparent: traceparent(TRACE) });
    const extended = await api.call('post', '/api/extend', {
      as: user,
      body: { lease_id: leaseId, duration_hours: 1 },
      headers: { traceparent: traceparent(OTHER) },
    });
    const [claimed] = await claimPlacements(scheduler, 1);
    expect(claimed?.cause).toEqual({ traceparent: traceparent(OTHER), requestId: extended.headers['x-request-id'] });
  });

  it('R40: ended by its user is the cause of the wipe', async () => {
    await aNode(database.db);
    const { leaseId } = await rent({});
    const released = await api.call('post', '/api/release', {
      as: user,
      body: { lease_id: leaseId },
      headers: { traceparent: traceparent(OTHER) },
    });
    expect(released.status).toBe(200);
    const [wipe] = await claimWipes(scheduler, 1);
    expect(wipe?.cause).toEqual({ traceparent: traceparent(OTHER), requestId: released.headers['x-request-id'] });
  });
});

describe('work that no request ordered', () => {
  it('R40: the end of a lease has a trace of its own, in its log line, its event and the cause of the wipe', async () => {
    const lease = await aLease(database.db, { userId: user.id, nodeId: (await aNode(database.db)).id });
    await age(
      database.db,
      'UPDATE leases SET created_at = created_at - INTERVAL 1 DAY, ends_at = UTC_TIMESTAMP(3) - INTERVAL 1 SECOND WHERE id = ?',
      [lease.id],
    );
    await expireLeases(scheduler);
    const [line] = lines.filter(({ message }) => message === 'lease expired');
    const [wipe] = await claimWipes(scheduler, 1);
    expect(line?.['traceId']).toMatch(/^[\da-f]{32}$/);
    expect(await tracesOf('lease.ending')).toEqual([line?.['traceId']]);
    expect(wipe && traceIdOf(wipe.cause)).toBe(line?.['traceId']);
  });

  it('R40: a migration names the trace of the act that caused it, and is the cause of the next placement', async () => {
    const [node] = await Promise.all([aNode(database.db), aNode(database.db)]);
    await aLease(database.db, { userId: user.id, nodeId: node.id });
    const drained = await inTrace('test', { origin: { requestId: 'r', address: undefined, tokenId: undefined } }, async () => {
      await drain(scheduler, { nodeId: node.id, by: user, move: true });
      return (await row<{ id: string }>(database.db, "SELECT trace_id AS id FROM events WHERE type = 'lease.migrating'")).id;
    });
    const step = await migrateNextLease(scheduler);
    const [line] = lines.filter(({ message }) => message === 'lease moved');
    expect(line).toMatchObject({ requestId: 'r', causeTraceId: drained });
    expect(step.outcome === 'moved' && step.placement.cause.requestId).toBe('r');
    expect(step.outcome === 'moved' && traceIdOf(step.placement.cause)).toBe(line?.['traceId']);
    expect(await tracesOf('lease.moved')).toEqual([line?.['traceId']]);
  });

  it('R40: a claim that an older release left without a cause is worked on without one', async () => {
    await aNode(database.db);
    const { leaseId } = await rent({});
    await age(
      database.db,
      'UPDATE placements SET due_at = UTC_TIMESTAMP(3), claim_token = NULL, traceparent = NULL, request_id = NULL WHERE lease_id = ?',
      [leaseId],
    );
    const [claimed] = await claimPlacements(scheduler, 1);
    expect(claimed?.cause).toEqual({ traceparent: null, requestId: null });
  });
});
