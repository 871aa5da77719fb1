import { eventually } from '../../lab';
import { inside, KILL_AGENT } from '../../e2e/support/inside';
import type { NodeForAdmin } from '../../../src/contract';
import { expectStatus } from '../../support/api-client';
import { type Fault, mustBe, mustMove } from './fault';
import { eventsSince, now, type Stage, type Struck, untilNode, untilWiped, WITHIN } from './stage';

const FOREIGN_FINGERPRINT = 'SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
const fingerprintOf = async ({ worker }: Struck): Promise<string> =>
  (await inside(worker, 'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub')).split(' ')[1] ?? '';

/** Between its quarantine and an operator's word nobody gets onto the node. */
async function mustNotHaveBeenLeased(stage: Stage, { nodeId, worker }: Struck, since: number): Promise<void> {
  const [quarantined] = (await eventsSince(stage, since, 'node.quarantined')).filter((event) => event.nodeId === nodeId);
  const placed = await stage.system.sql<{ id: number }>(
    'SELECT p.id FROM placements p JOIN events e ON e.id = ? WHERE p.node_id = ? AND p.created_at > e.at',
    [quarantined?.id ?? 0, nodeId],
  );
  mustBe(`the quarantine of ${worker.name}`, quarantined?.type, 'node.quarantined');
  mustBe(`the number of placements on ${worker.name} in its quarantine`, placed.length, 0);
}

const isQuarantined = ({ status, free }: NodeForAdmin): boolean => status === 'quarantined' && !free;

/** It keeps its credential: its agent tells of the new key, and an operator who names that very key lets it in again. */
const otherKey = (name: string, replaceKey: (struck: Struck) => Promise<void>): Fault => ({
  name,
  carryOut: async (stage, random) => {
    const struck = await stage.takeLease(random);
    const mark = await now(stage);
    await replaceKey(struck);
    const moved = await mustMove(stage, struck, random);
    await untilNode(
      stage,
      struck,
      'is quarantined and offers its new key',
      (node) => isQuarantined(node) && node.offered_host_key_fingerprint !== null,
    );
    const approve = async (fingerprint: string): Promise<number> =>
      (await stage.system.admin.post(`/api/nodes/${struck.nodeId}/approve`, { host_key_fingerprint: fingerprint })).status;
    mustBe('the answer to an approval of another key', await approve(FOREIGN_FINGERPRINT), 409);
    await untilNode(stage, struck, 'is quarantined still', isQuarantined);
    await mustNotHaveBeenLeased(stage, struck, mark);
    mustBe('the answer to the approval', await approve(await fingerprintOf(struck)), 200);
    await untilWiped(stage, struck);
    await stage.giveBack(moved);
  },
});

const keyReplacedLive = otherKey('its host key is replaced while it runs', async ({ worker }) => {
  await inside(
    worker,
    "rm /etc/ssh/ssh_host_ed25519_key*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key; kill -HUP $(pgrep -o -x sshd)",
  );
  worker.hostKey = (await inside(worker, 'cat /etc/ssh/ssh_host_ed25519_key.pub')).split(' ').slice(0, 2).join(' ');
});

const keyReplacedAway = otherKey('comes back with another host key', async ({ worker }) => {
  await inside(worker, 'rm /etc/ssh/ssh_host_ed25519_key*');
  await worker.kill();
  await worker.start();
});

/**
 * Nothing of the old machine but its name and address: its token is used up, so that an operator retires the old node and lets the new one
 * in.
 */
const otherMachine: Fault = {
  name: 'comes back empty',
  carryOut: async (stage, random) => {
    const { system } = stage;
    const struck = await stage.takeLease(random);
    const { worker, nodeId } = struck;
    const mark = await now(stage);
    await worker.kill();
    await worker.start({ fresh: true });
    const moved = await mustMove(stage, struck, random);
    await untilNode(stage, struck, 'is quarantined', isQuarantined);
    mustBe(`the number of nodes named ${worker.name} in service`, (await inService(stage, worker.name)).length, 1);
    await mustNotHaveBeenLeased(stage, struck, mark);

    expectStatus(await system.admin.post(`/api/nodes/${nodeId}/retire`, {}), 200);
    const token = expectStatus(await system.admin.post<{ token: string }>('/api/tokens', { name: worker.name, max_uses: 1 }), 201).token;
    await inside(worker, `printf '%s' '${token}' > /etc/orion/join-token; ${KILL_AGENT}`);
    const enrolled = async (): Promise<boolean> =>
      (await inService(stage, worker.name)).some(({ id, status }) => id !== nodeId && status === 'alive');
    await eventually(enrolled, { what: `${worker.name} is enrolled anew`, timeoutMs: WITHIN.answer, everyMs: 100 });
    await stage.giveBack(moved);
  },
};

const inService = async ({ system }: Stage, hostname: string): Promise<NodeForAdmin[]> =>
  (await system.nodes()).filter((node) => node.hostname === hostname && node.status !== 'retired');

export const IDENTITY_FAULTS = [keyReplacedLive, keyReplacedAway, otherMachine];
