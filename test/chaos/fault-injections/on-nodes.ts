import { eventually, generateSshKeyPair, sshExec, untilHeld } from '../../lab';
import type { Lease } from '../../../src/contract';
import { privateKeyOf, registerMachine } from '../../support/machine';
import { addManagementKey, startOnPath } from '../../support/on-path';
import { broken } from '../scenario';
import { type Arena, PATIENCE_MS, type FaultInjection, stepsOf } from './arena';

async function untilFreeOrFailed({ system }: Arena, lease: Lease): Promise<void> {
  const over = async (): Promise<boolean> =>
    (await system.sql('SELECT id FROM nodes WHERE id = ? AND leasable', [lease.node?.id ?? 0])).length === 1 ||
    (await system.sql("SELECT id FROM events WHERE node_id = ? AND type = 'node.wipe_failed'", [lease.node?.id ?? 0])).length > 0;
  await eventually(over, {
    what: `the node of lease ${lease.id} is wiped, or a wipe of it has failed`,
    timeoutMs: PATIENCE_MS,
    everyMs: 25,
  });
}

/** A job that heeds no signal but one, and a file where nobody looks. */
const PLANT = `nohup sh -c 'trap "" TERM HUP INT; while :; do sleep 60; done' >/dev/null 2>&1 & mkdir -p /var/tmp/of-$USER/deep && echo mine > /var/tmp/of-$USER/deep/file && echo mine > /dev/shm/of-$USER`;

const leftover: FaultInjection = {
  name: 'leftover',
  promise: 'a tenant leaves a job that ignores TERM and files outside its home: nothing of it is there when the node is free',
  inject: async (arena) => {
    const lease = await arena.lease();
    const { code, stderr } = await arena.ada.login(lease, PLANT);
    if (code !== 0) {
      throw new Error(`the login ended with ${String(code)}: ${stderr}`);
    }
    await arena.history.release(arena.ada, { leaseId: lease.id });
    await untilFreeOrFailed(arena, lease);
  },
};

/** Something of root's on the node puts a file of the tenant's back as soon as the account is gone: a backup, a synchronisation. */
const putBack = (uid: number): string =>
  `nohup sh -c 'i=0; while grep -q "^orn-" /etc/passwd && [ $i -lt 4000 ]; do i=$((i + 1)); sleep 0.02; done; echo back > /var/tmp/back && chown ${uid} /var/tmp/back' >/dev/null 2>&1 &`;

const putBackByRoot: FaultInjection = {
  name: 'put-back',
  promise: "a file of the tenant's comes back between the wipe and its verification: the node is not free until it is gone",
  inject: async (arena) => {
    const lease = await arena.lease();
    const [account] = await arena.system.sql<{ uid: number }>('SELECT uid FROM placements WHERE current_lease_id = ?', [lease.id]);
    await arena.workerOf(lease).exec(putBack(account?.uid ?? 0));
    await arena.history.release(arena.ada, { leaseId: lease.id });
    await untilFreeOrFailed(arena, lease);
  },
};

const lostNode: FaultInjection = {
  name: 'lost-node',
  promise: 'a machine with a lease stops and comes back after the lease was moved: its old account is wiped before it is free',
  inject: async ({ ada, lease, untilNode, workerOf }) => {
    const leased = await lease();
    const worker = workerOf(leased);
    await worker.freeze();
    try {
      await ada.untilLease(
        leased.id,
        'is active elsewhere',
        ({ state, generation }) => state === 'active' && generation === 2,
        PATIENCE_MS,
      );
    } finally {
      await worker.thaw();
    }
    await untilNode(leased.node?.hostname ?? '', 'is free', ({ free }) => free);
  },
};

const staleGeneration: FaultInjection = {
  name: 'stale-generation',
  promise:
    'an API that stood still before making an account comes back when the lease has moved and the node is wiped and free: it makes none there',
  inject: async ({ system, ada, history, first, drain }) => {
    const held = untilHeld([stepsOf(first)], 'placement.claimed');
    const answer = history.rent(ada, { key: 'stale-generation', at: first.url });
    const { goOn } = await held;
    try {
      const made = async (): Promise<{ id: number; node: number } | undefined> =>
        (await system.sql<{ id: number; node: number }>("SELECT id, occupied_node_id AS node FROM leases WHERE state = 'active'"))[0];
      const { id, node } = await eventually(made, { what: 'a scheduler has made the account', timeoutMs: PATIENCE_MS, everyMs: 50 });
      await drain(node);
      await ada.untilLease(id, 'is active elsewhere', ({ state, generation }) => state === 'active' && generation === 2, PATIENCE_MS);
      const clean = async (): Promise<boolean> =>
        (await system.sql('SELECT id FROM nodes WHERE id = ? AND NOT dirty', [node])).length === 1;
      await eventually(clean, { what: 'the node that was left is wiped', timeoutMs: PATIENCE_MS, everyMs: 50 });
    } finally {
      goOn();
    }
    await answer;
  },
};

/** Others are taken until it is that one's turn. */
async function leaseOn({ lease }: Arena, hostname: string | undefined): Promise<void> {
  while ((await lease()).node?.hostname !== hostname);
}

const lateWipe: FaultInjection = {
  name: 'late-wipe',
  promise:
    'a scheduler that stood still before a wipe comes back when another has wiped the node and the next tenant has it: it takes nothing of his',
  inject: async (arena) => {
    const { system, ada, history, judge, lease, untilNode, found } = arena;
    const before = await lease();
    const held = untilHeld(system.schedulers.map(stepsOf), 'wipe.claimed');
    await history.release(ada, { leaseId: before.id });
    const { index, goOn } = await held;
    try {
      await untilNode(before.node?.hostname ?? '', 'is free', ({ free }) => free);
      await leaseOn(arena, before.node?.hostname);
    } finally {
      goOn();
    }
    const over = (): boolean => /"wipe (taken by another|failed)"/.test(system.schedulers[index]?.log() ?? '');
    await eventually(over, { what: 'the late wipe is over', timeoutMs: PATIENCE_MS, everyMs: 50 });
    // While the next tenant has the node: afterwards there is nothing to miss.
    found.push(...(await judge.violations()));
  },
};

const newHostKey: FaultInjection = {
  name: 'new-host-key',
  promise: 'a machine comes back with another host key: it is quarantined',
  inject: async ({ fleet, untilNode }) => {
    const [worker] = fleet.workers;
    if (!worker) {
      throw new Error('no worker');
    }
    // Made anew at the next start.
    await worker.exec('rm /etc/ssh/ssh_host_ed25519_key*');
    await worker.kill();
    await worker.start();
    // Probes see another key first; which one it is, for an operator to accept, the agent says.
    await untilNode(
      worker.name,
      'is quarantined and offers its key, or is free all the same',
      ({ status, free, offered_host_key_fingerprint: offered }) => (status === 'quarantined' && offered !== null) || free,
    );
  },
};

const AUTHORIZED = '/var/lib/orion/mgmt/.ssh/authorized_keys';
const HOSTILE_ANSWERS = 6;

const hostilePath: FaultInjection = {
  name: 'hostile-path',
  promise:
    'somebody between a machine and the control plane adds a key to what the machine is to install: it is not installed, and the machine goes on',
  inject: async ({ system, fleet, untilNode, found }) => {
    const path = await startOnPath(system.lab, system.apis[1]?.url ?? '');
    const { workers } = await system.launchWorkers(1, {
      endpoint: path.url,
      agentEnv: { MY_HOSTNAME: `on-the-path-${fleet.workers.length}` },
    });
    const worker = workers[0];
    if (!worker) {
      throw new Error('no worker');
    }
    const hostname = `on-the-path-${fleet.workers.length}`;
    await untilNode(hostname, 'is free', ({ free }) => free);
    const { publicKey, keyFile } = await generateSshKeyPair(system.lab.dir, 'on the path');
    path.change(addManagementKey(path, publicKey));
    await eventually(() => path.changed() >= HOSTILE_ANSWERS, {
      what: `${HOSTILE_ANSWERS} answers are changed`,
      timeoutMs: PATIENCE_MS,
      everyMs: 50,
    });
    const { stdout } = await worker.exec(`cat ${AUTHORIZED}`);
    const { code } = await sshExec({ ...worker, user: 'orion-mgmt', keyFile }, 'true');
    if (code === 0 || stdout.includes(publicKey.split(' ')[1] ?? publicKey)) {
      found.push(broken('trust', hostname, 'admits a management key that somebody on the path added'));
    }
    path.change((answer) => answer);
    await untilNode(hostname, 'is alive', ({ status }) => status === 'alive');
  },
};

/** A file and a process of a number that no entry names, as of a person whose directory service is away. */
const settleIn = (uid: number): string => `
  mkdir -p /srv/stranger && echo 'not a tenant' > /srv/stranger/note && chown ${uid}:${uid} /srv/stranger/note && chmod 600 /srv/stranger/note
  setsid setpriv --reuid ${uid} --regid ${uid} --clear-groups sleep 7777 </dev/null >/dev/null 2>&1 &
  until pgrep -U ${uid} -x sleep >/dev/null; do sleep 0.05; done`;
const lookIn = (uid: number): string => `stat -c %u /srv/stranger/note 2>/dev/null; pgrep -U ${uid} -x sleep >/dev/null && echo lives`;
const moveOut = (uid: number): string => `rm -rf /srv/stranger; pkill -KILL -U ${uid}; true`;

const foreignUid: FaultInjection = {
  name: 'foreign-uid',
  promise:
    'somebody who is no tenant has the next uid of each machine: their file and their process are there after the next lease and its wipe',
  inject: async (arena) => {
    const next = await arena.system.sql<{ hostname: string; uid: number }>('SELECT hostname, next_uid AS uid FROM nodes');
    const strangers = arena.fleet.workers.map((worker) => ({
      worker,
      uid: next.find(({ hostname }) => hostname === worker.name)?.uid ?? 0,
    }));
    await Promise.all(strangers.map(({ worker, uid }) => worker.exec(settleIn(uid))));
    const lease = await arena.lease();
    await arena.history.release(arena.ada, { leaseId: lease.id });
    await untilFreeOrFailed(arena, lease);
    for (const { worker, uid } of strangers) {
      const { stdout } = await worker.exec(lookIn(uid));
      if (stdout !== `${uid}\nlives\n`) {
        arena.found.push(
          broken(
            'I7',
            worker.name,
            `a file or a process of somebody who is no tenant, uid ${uid}, is gone after a wipe: ${JSON.stringify(stdout)}`,
          ),
        );
      }
      await worker.exec(moveOut(uid));
    }
  },
};

const clone: FaultInjection = {
  name: 'clone',
  promise:
    'a machine that was made from an image of a leased node registers with a join token: it is refused, and the lease stays where it is',
  inject: async ({ system, second, lease, workerOf, found }) => {
    const leased = await lease();
    const original = workerOf(leased);
    const copy = {
      hostname: 'copy',
      host_key: original.hostKey,
      address: '127.0.0.1',
      ssh_port: 9,
      mark: 'of-the-copy-and-not-of-the-node',
    };
    const { status, text } = await registerMachine(second.url, copy, {
      joinToken: system.joinToken,
      privateKey: await privateKeyOf(original),
    });
    if (status !== 409 || !text.includes('host_key_in_use')) {
      found.push(broken('trust', original.name, `a copy of it took its row while it was leased (answered ${status})`));
    }
  },
};

export const ON_NODES: FaultInjection[] = [
  leftover,
  foreignUid,
  putBackByRoot,
  lostNode,
  staleGeneration,
  lateWipe,
  newHostKey,
  hostilePath,
  clone,
];
