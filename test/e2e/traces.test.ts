import mysql, { type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type DatabaseAccess, eventually, sshExec, type WorkerFleet } from '../lab';
import { throughGateway } from '../support/gateway-client';
import { type RunningGateway, startSystem, type System } from '../support/system';
import { type ReceivedSpan, startTraceReceiver, type TraceReceiver } from '../support/trace-receiver';
import { workerOf } from './support/inside';

type Line = Record<string, unknown> & { message: string };

/** The log lines of a process that contain a text, as grep finds them. */
const grep = ({ log }: { log: () => string }, text: string): Line[] =>
  log()
    .split('\n')
    .filter((line) => line.includes(text))
    .map((line) => JSON.parse(line) as Line);

interface Ordered {
  leaseId: number;
  traceId: string;
  requestId: string;
}

/** Locks the row of the first placement as soon as it exists, so that no process can complete it. `release` ends the lock. */
async function lockPlacement(access: DatabaseAccess): Promise<Ordered & { release: () => Promise<void> }> {
  const connection = await mysql.createConnection({ ...access });
  await connection.query("SET SESSION tx_isolation = 'READ-COMMITTED'");
  await connection.beginTransaction();
  const sql =
    'SELECT lease_id AS leaseId, SUBSTR(traceparent, 4, 32) AS traceId, request_id AS requestId FROM placements WHERE current_lease_id IS NOT NULL FOR UPDATE';
  const find = async (): Promise<Ordered | undefined> => (await connection.query<(Ordered & RowDataPacket)[]>(sql))[0][0];
  const found = await eventually(find, { what: 'a placement exists', timeoutMs: 20_000, everyMs: 5 });
  return { ...found, release: () => connection.end() };
}

describe('a rent whose API dies before its account is complete', () => {
  let system: System;
  let receiver: TraceReceiver;
  let gateway: RunningGateway;
  let fleet: WorkerFleet;
  beforeAll(async () => {
    receiver = await startTraceReceiver();
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_BSP_SCHEDULE_DELAY: '50' };
    system = await startSystem({ apis: 2, schedulers: 1, gateway: true, env });
    gateway = await system.startGateway();
    fleet = await system.launchWorkers(2);
    await system.untilFree(2, 60_000);
  }, 150_000);
  afterAll(async () => {
    await system.close();
    await receiver.close();
  }, 60_000);

  const spansOf = (traceId: string): ReceivedSpan[] => receiver.spans.filter((span) => span.traceId === traceId);
  const linkedTo = (traceId: string, name: string): ReceivedSpan | undefined =>
    receiver.spans.find((span) => span.name === name && span.links.some((link) => link.traceId === traceId));
  const received = (what: string, find: () => ReceivedSpan | undefined): Promise<ReceivedSpan> =>
    eventually(find, { what, timeoutMs: 20_000 });

  it('R40: is told by its trace id: API, play, scheduler, gateway, and the move after the death of its node', async () => {
    const ada = await system.tenant();
    const [, dying] = system.apis;
    const locking = lockPlacement(system.access);
    ada.rent({ at: dying?.url ?? '' }).catch(() => undefined);
    const { leaseId: id, traceId: trace, requestId, release } = await locking;
    await received('the play of the API', () => spansOf(trace).find(({ name }) => name === 'play create_user.yml'));
    await dying?.kill9();
    await release();
    const lease = await ada.untilLease(id, 'is active', ({ state }) => state === 'active');
    const login = await sshExec(throughGateway(ada, lease, gateway), 'echo in');
    expect(login.stdout).toContain('in');

    const [scheduler] = system.schedulers;
    const story = [dying, scheduler, gateway.replica].map((replica) => (replica ? grep(replica, trace) : []));
    expect(story.map((lines) => lines.map(({ message }) => message))).toEqual([
      expect.arrayContaining(['play ended']),
      expect.arrayContaining(['play ended', 'placement present']),
      expect.arrayContaining(['gateway session begins']),
    ]);
    expect(story.flat().filter((line) => line['requestId'] !== requestId)).toEqual([]);

    const linked = [
      await received('the work of the scheduler', () => linkedTo(trace, 'placement')),
      await received('the session', () => linkedTo(trace, 'gateway-session')),
    ];
    const both = [trace, ...linked.map(({ traceId }) => traceId)].flatMap(spansOf);
    expect(both.length).toBeGreaterThanOrEqual(12);
    expect(new Set(both.map(({ service }) => service))).toEqual(new Set(['orion-api', 'orion-scheduler', 'orion-gateway']));
    const { id: nodeId } = await system.node(lease.node?.hostname ?? '');
    const onNode = both.filter(({ attributes }) => attributes['orion.node.id'] === nodeId).map(({ name }) => name);
    expect(onNode).toEqual(expect.arrayContaining(['play create_user.yml', 'ssh login', 'ssh command']));
    expect(both.flatMap(({ events }) => events.map(({ name }) => name))).toContain('placement.completed');

    await workerOf(fleet, lease).kill();
    await ada.untilLease(id, 'has moved', ({ state, generation }) => state === 'active' && generation === 2, 40_000);
    const [dead] = await system.sql<{ trace: string }>("SELECT trace_id AS trace FROM events WHERE type = 'node.dead' AND node_id = ?", [
      nodeId,
    ]);
    const death = dead?.trace ?? '';
    await received('the move names the death', () => linkedTo(death, 'migrate-leases'));
    expect(spansOf(death).map(({ name }) => name)).toContain('probe-node');
    expect(scheduler && grep(scheduler, death).map(({ message }) => message)).toEqual(
      expect.arrayContaining(['node judged', 'lease moved']),
    );
  }, 120_000);
});
