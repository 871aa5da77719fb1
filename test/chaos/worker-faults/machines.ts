import { systemClock } from '../../../src/lib/clock';
import { eventually } from '../../lab';
import { inside, KILL_AGENT } from '../../e2e/support/inside';
import { type Fault, mustBe, mustBeOpen, mustMove, mustStay } from './fault';
import { eventsSince, now, type Stage, type Struck, untilNode, untilWiped, WITHIN } from './stage';

const powerCut: Fault = {
  name: 'power cut',
  carryOut: async (stage, random) => {
    const struck = await stage.takeLease(random);
    await struck.worker.kill();
    const moved = await mustMove(stage, struck, random);
    await struck.worker.start();
    await untilWiped(stage, struck);
    await stage.giveBack(moved);
  },
};

const hangs: Fault = {
  name: 'hangs, thaws later',
  carryOut: async (stage, random) => {
    const struck = await stage.takeLease(random);
    await struck.worker.freeze();
    const moved = await mustMove(stage, struck, random);
    await systemClock.sleep(random.between(0, 3_000));
    await struck.worker.thaw();
    await untilWiped(stage, struck);
    await stage.giveBack(moved);
  },
};

/** Back after a failure or two, which are no death yet: not even the session is cut. */
const hangsBriefly: Fault = {
  name: 'hangs, but is back before it is dead',
  carryOut: async (stage, random) => {
    const struck = await stage.takeLease(random);
    const session = await stage.subject.openSession(struck.lease);
    const mark = await now(stage);
    await struck.worker.freeze();
    await untilFailures(stage, struck, random.pick([1, 2]));
    await struck.worker.thaw();
    await untilNode(stage, struck, 'is alive again', ({ status }) => status === 'alive' || status === 'dead');
    const deaths = await eventsSince(stage, mark, 'node.dead');
    if (deaths.some(({ nodeId }) => nodeId === struck.nodeId)) {
      // The thaw came too late on a busy machine.
      session.close();
    } else {
      await mustStay(stage, struck);
      mustBeOpen(session, 'a short hang');
    }
    await stage.giveBack(struck.lease);
  },
};

async function untilFailures({ system }: Stage, { nodeId, worker }: Struck, n: number): Promise<void> {
  const failing = async (): Promise<boolean> =>
    (await system.sql('SELECT id FROM nodes WHERE id = ? AND probe_failures >= ?', [nodeId, n])).length === 1;
  await eventually(failing, { what: `${n} checks of ${worker.name} have failed`, timeoutMs: WITHIN.death });
}

/** Whether it is back in time is for the machine to say; either way the lease has one account that works. */
const reboots: Fault = {
  name: 'reboots',
  carryOut: async (stage, random) => {
    const struck = await stage.takeLease(random);
    const mark = await now(stage);
    await (random.chance(0.5) ? struck.worker.kill() : struck.worker.stop());
    await struck.worker.start();
    await untilRegistered(stage, struck, mark);
    await stage.untilCalm();
    const moved = (await eventsSince(stage, mark, 'lease.moved')).find(({ leaseId }) => leaseId === struck.lease.id);
    if (moved) {
      mustBe(
        'the number of deaths before the move',
        (await eventsSince(stage, mark, 'node.dead')).filter(({ id, nodeId }) => nodeId === struck.nodeId && id < moved.id).length,
        1,
      );
      await untilWiped(stage, struck);
    } else {
      await mustStay(stage, struck);
    }
    await stage.giveBack(struck.lease);
  },
};

async function untilRegistered(stage: Stage, { nodeId, worker }: Struck, mark: number): Promise<void> {
  const registered = async (): Promise<boolean> =>
    (await eventsSince(stage, mark, 'node.registered')).some((event) => event.nodeId === nodeId);
  await eventually(registered, { what: `the agent of ${worker.name} has registered again`, timeoutMs: WITHIN.answer, everyMs: 50 });
}

/** More than after what a silent agent's node is suspect. */
const SILENT_SECONDS = 7;

const agentDies: Fault = {
  name: 'its agent dies, sshd lives',
  carryOut: async (stage, random) => {
    const struck = await stage.takeLease(random);
    const session = await stage.subject.openSession(struck.lease);
    const mark = await now(stage);
    // Its init would start it again at once.
    await inside(struck.worker, `mv /etc/orion/agent.env /etc/orion/agent.off; ${KILL_AGENT}`);
    const silent = async (): Promise<boolean> => {
      const query = `SELECT id FROM nodes JOIN heartbeats h ON node_id = id WHERE id = ? AND h.last_heartbeat_at < UTC_TIMESTAMP(3) - INTERVAL ${SILENT_SECONDS} SECOND
                        AND last_checked_at > h.last_heartbeat_at + INTERVAL ${SILENT_SECONDS} SECOND`;
      return (await stage.system.sql(query, [struck.nodeId])).length === 1;
    };
    await eventually(silent, {
      what: `the agent of ${struck.worker.name} is silent beyond the limit, and the node was looked at since`,
      timeoutMs: WITHIN.answer,
      everyMs: 100,
    });
    await untilNode(stage, struck, 'is alive', ({ status }) => status === 'alive');
    mustBe(
      'deaths of a node whose agent alone is dead',
      (await eventsSince(stage, mark, 'node.dead')).filter(({ nodeId }) => nodeId === struck.nodeId).length,
      0,
    );
    await mustStay(stage, struck);
    mustBeOpen(session, 'the death of an agent');
    await stage.giveBack(struck.lease);
    const before = await now(stage);
    await inside(struck.worker, 'mv /etc/orion/agent.off /etc/orion/agent.env');
    await struck.worker.stop();
    await struck.worker.start();
    await untilRegistered(stage, struck, before);
  },
};

const sshdDies: Fault = {
  name: 'its sshd dies, the agent lives',
  carryOut: async (stage, random) => {
    const struck = await stage.takeLease(random);
    await inside(
      struck.worker,
      'cp -a /etc/ssh/sshd_config /etc/ssh/sshd_config.good; echo Nonsense > /etc/ssh/sshd_config; kill $(pgrep -o -x sshd)',
    );
    const moved = await mustMove(stage, struck, random);
    const [{ silence } = { silence: null }] = await stage.system.sql<{ silence: number | null }>(
      'SELECT TIMESTAMPDIFF(SECOND, last_heartbeat_at, UTC_TIMESTAMP(3)) AS silence FROM heartbeats WHERE node_id = ?',
      [struck.nodeId],
    );
    if (silence === null || silence > SILENT_SECONDS) {
      throw new Error(`the agent of ${struck.worker.name} is silent, ${String(silence)} s now: sshd alone was to die`);
    }
    await inside(struck.worker, 'mv /etc/ssh/sshd_config.good /etc/ssh/sshd_config');
    await untilWiped(stage, struck);
    await stage.giveBack(moved);
  },
};

export const MACHINE_FAULTS = [powerCut, hangs, hangsBriefly, reboots, agentDies, sshdDies];
