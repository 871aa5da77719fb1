import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually, launchWorkers, type Worker } from '../../lab';
import type { Lease, NodeForAdmin } from '../../../src/contract';
import { useSystem, useTenant } from '../../support/hooks';
import { get, install, makeInstallable } from './support';

/**
 * Machines that were made from one image: the host key, and also the agent's state where the test says so. Real sshd, accounts and
 * installer.
 */
const system = useSystem({ apis: 1, schedulers: 1 });
let script: string;
const ada = useTenant(system);

beforeAll(async () => {
  script = (await get(`${apiUrl()}/install.sh`)).body.toString();
}, 120_000);

const apiUrl = (): string => system.apis[0]?.url ?? '';
/** The machines of several launches have the same names. */
const nameOf = ({ address }: Worker): string => `m-${address.replaceAll('.', '-')}`;
const settingsOf = (worker: Worker): Record<string, string> => ({
  MY_HOSTNAME: nameOf(worker),
  MY_ADDRESS: worker.address,
  MY_HOST_PORT: String(worker.port),
  ORION_LABELS: `machine=${nameOf(worker)}`,
});
const enrol = (worker: Worker, env: Record<string, string> = {}): ReturnType<typeof install> =>
  install(worker, script, { env: { ...settingsOf(worker), ORION_TOKEN: system.joinToken, ...env } });
const sh = async (worker: Worker, command: string): Promise<string> => (await worker.exec(command)).stdout.trim();
/** Makes `copy` what it would be if both were started from an image of `original`. */
const copyFiles = async (original: Worker, copy: Worker, files: string): Promise<void> => {
  await copy.exec('base64 -d | tar -x -C /', { input: await sh(original, `tar -c -C / ${files} | base64`) });
  await copy.exec('for p in /proc/[0-9]*; do [ "$(cat $p/comm)" != sshd ] || kill -HUP ${p#/proc/}; done');
};
const HOST_KEYS = 'etc/ssh/ssh_host_ed25519_key etc/ssh/ssh_host_ed25519_key.pub';
const AGENT_STATE = 'var/lib/orion etc/orion-agent';
const refusals = (node: NodeForAdmin): Promise<unknown[]> =>
  system.sql("SELECT data FROM events WHERE type = 'node.clone_refused' AND node_id = ?", [node.id]);

describe('a clone of a node that is leased', () => {
  let original: Worker;
  let clone: Worker;
  let node: NodeForAdmin;
  let lease: Lease;

  beforeEach(async () => {
    [original, clone] = (await launchWorkers(system.lab, 2)).workers as [Worker, Worker];
    await Promise.all([original, clone].map(makeInstallable));
    expect(await enrol(original)).toMatchObject({ code: 0 });
    await eventually(async () => (await system.node(nameOf(original))).free, { what: 'the first machine is free', timeoutMs: 60_000 });
    lease = await ada.rentOne({ requirements: { labels: { 'node/machine': nameOf(original) } } });
    node = await system.node(nameOf(original));
    expect(node.lease_id).toBe(lease.id);
  }, 240_000);

  const unharmed = async (): Promise<void> => {
    expect(await ada.login(lease, 'id -un')).toMatchObject({ code: 0, stdout: `${lease.access?.username ?? ''}\n` });
    expect(await ada.lease(lease.id)).toMatchObject({ state: 'active', generation: 1, ends_at: lease.ends_at });
    expect(await system.node(nameOf(original))).toMatchObject({
      id: node.id,
      status: 'alive',
      address: original.address,
      ssh_port: original.port,
      lease_id: lease.id,
    });
    expect(await sh(original, 'orion-agent status')).toMatch(/in service/);
  };

  it('is told what it is and what to do; the first one and its tenant are untouched; with --new-host-key it is a node of its own', async () => {
    await copyFiles(original, clone, HOST_KEYS);
    const refused = await enrol(clone);
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        new RegExp(`This machine is a copy of node ${node.id}, which is in use and has the same SSH host key\\..*--new-host-key`),
      ),
    });
    expect(await refusals(node)).toEqual([{ data: expect.objectContaining({ address: clone.address, copied_state: false }) as unknown }]);
    await unharmed();

    const session = ada.openSession(lease);
    const enrolled = await enrol(clone, { ORION_INSTALL_NEW_HOST_KEY: 'yes' });
    expect({ code: enrolled.code, stdout: enrolled.stdout, stderr: enrolled.stderr }).toEqual({
      code: 0,
      stdout: expect.stringContaining('this machine has new SSH host keys'),
      stderr: '',
    });
    const own = await system.node(nameOf(clone));
    expect(own.id).not.toBe(node.id);
    expect(own).toMatchObject({ status: 'alive' });
    expect((await session).isOpen()).toBe(true);
    (await session).close();
    await unharmed();
  }, 240_000);

  it("with the agent's state as well is refused, keeps no account of the tenant open, and its agent ends and is not started again", async () => {
    await copyFiles(original, clone, `${HOST_KEYS} ${AGENT_STATE} etc/passwd etc/shadow etc/group etc/gshadow`);
    const account = lease.access?.username ?? '';
    const { code, stderr } = await enrol(clone);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(new RegExp(`copy of node ${node.id}, which is in use, and holds a copy of its credential`)),
    });
    expect(await sh(clone, `getent shadow ${account} | cut -d: -f8`)).toBe('1');
    await unharmed();

    // The host key alone does not help: the credential is the first one's, and the node must not be quarantined for it.
    await clone.exec('rm /etc/ssh/ssh_host_ed25519_key*; ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key');
    expect(await enrol(clone)).toMatchObject({ code: 1, stderr: expect.stringContaining('holds a copy of its credential') });
    await unharmed();
    expect(
      await install(clone, `set -- --new-host-key\n${script}`, { env: { ...settingsOf(clone), ORION_TOKEN: system.joinToken } }),
    ).toMatchObject({ code: 0 });
    expect((await system.node(nameOf(clone))).id).not.toBe(node.id);
    await unharmed();
  }, 240_000);
});

describe("a machine that lost the agent's state", () => {
  let machine: Worker;
  let node: NodeForAdmin;
  beforeAll(async () => {
    [machine] = (await launchWorkers(system.lab, 1)).workers as [Worker];
    await makeInstallable(machine);
    expect(await enrol(machine)).toMatchObject({ code: 0 });
    node = await system.node(nameOf(machine));
  }, 120_000);

  it('enrols under its own row at once, though its agent was heard a moment ago', async () => {
    await machine.exec('orion-agent stop; rm -rf /var/lib/orion/agent');
    expect(await enrol(machine)).toMatchObject({ code: 0, stderr: '' });
    expect(await system.node(nameOf(machine))).toMatchObject({ id: node.id, status: 'alive' });
  }, 120_000);

  it('is replaced under its row by a machine with its disk, once it is dead', async () => {
    const [next] = (await launchWorkers(system.lab, 1)).workers as [Worker];
    await makeInstallable(next);
    await copyFiles(machine, next, HOST_KEYS);
    await machine.kill();
    await eventually(async () => (await enrol(next)).code === 0, {
      what: 'it is let in once the agent is silent',
      timeoutMs: 90_000,
      everyMs: 2000,
    });
    expect(await system.node(nameOf(next))).toMatchObject({ id: node.id, ssh_port: next.port });
    expect(await refusals(node)).toEqual([]);
  }, 180_000);
});
