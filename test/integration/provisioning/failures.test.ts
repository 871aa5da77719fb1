import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ProvisioningError } from '../../../src/modules/provisioning';
import { openTrap } from '../../chaos/rogue/traps';
import { eventually, generateSshKeyPair } from '../../lab';
import { aSpec, asRoot, nodeOf, provisionerWith, useBench } from './support';

const read = (path: string): string => {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
};
const pids = (): string[] => readdirSync('/proc').filter((name) => /^\d+$/.test(name));
const playDirectories = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('orion-play-'));
/** Processes of the plays with these directories, by their environment: also those that left the process group. */
const processesOfPlays = (own: Set<string>): string[] =>
  pids().filter((pid) => {
    const mark = /ORION_PLAY=([^\0]+)/.exec(read(`/proc/${pid}/environ`))?.[1];
    return mark !== undefined && own.has(mark);
  });

const WAYS = [
  { way: 'in a prefork worker', prefork: true, flooded: 'stopped because the node answers without end', command: 'prefork_plays.py' },
  {
    way: 'as a one-off run',
    prefork: false,
    flooded: 'killed because it held more than 90 MB of memory: the node answers without end',
    command: 'ansible-playbook',
  },
];

describe.each(WAYS)('when a node is not as it should be, and the play runs $way', ({ prefork, flooded, command }) => {
  afterAll(() => {
    held.forEach((socket) => socket.destroy());
    silent.close();
  });
  const { bench, worker } = useBench({ prefork });
  let silent: Server;
  const held = new Set<Socket>();

  beforeAll(async () => {
    silent = createServer((socket) => held.add(socket));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  }, 60_000);

  const failureOf = async (work: Promise<unknown>): Promise<ProvisioningError> => {
    const error: unknown = await work.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(ProvisioningError);
    return error as ProvisioningError;
  };

  it('tells that another host key answered', async () => {
    const other = (await generateSshKeyPair(bench.lab.dir)).publicKey.split(' ').slice(0, 2).join(' ');
    const target = { ...nodeOf(worker), hostKey: other };
    expect((await failureOf(bench.provisioner.verifyClean(target, []))).failure).toBe('host_key_changed');
  }, 30_000);

  it('tells so too when the node has no key of the pinned type', async () => {
    const target = { ...nodeOf(worker), hostKey: 'ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBA==' };
    expect(await failureOf(bench.provisioner.verifyClean(target, []))).toMatchObject({
      failure: 'host_key_changed',
      message: expect.stringContaining('host key'),
    });
  }, 30_000);

  it('is unreachable when nothing listens', async () => {
    const target = { ...nodeOf(worker), port: 1 };
    expect((await failureOf(bench.provisioner.wipe(target, []))).failure).toBe('unreachable');
  }, 30_000);

  it('is unreachable when the login is refused', async () => {
    const stranger = provisionerWith(bench.lab, await generateSshKeyPair(bench.lab.dir), { prefork });
    expect((await failureOf(stranger.wipe(nodeOf(worker), []))).failure).toBe('unreachable');
  }, 30_000);

  it('gives up at the deadline on a listener that says nothing, and leaves no process and no file of a process of its own', async () => {
    const hasty = provisionerWith(bench.lab, bench.managementKey, { prefork: false, deadlineSeconds: 4 });
    const before = new Set(playDirectories());
    const target = { ...nodeOf(worker), address: '127.0.0.1', port: (silent.address() as AddressInfo).port };
    const startedAt = performance.now();
    const failing = failureOf(hasty.wipe(target, []));
    const own = await eventually(
      () => {
        const marks = playDirectories()
          .filter((name) => !before.has(name))
          .map((name) => `${tmpdir()}/${name}`);
        return held.size > 0 && marks.length > 0 ? new Set(marks) : undefined;
      },
      { what: 'the play is connected' },
    );
    expect(processesOfPlays(own).length).toBeGreaterThan(1);
    expect((await failing).failure).toBe('deadline');
    expect(performance.now() - startedAt).toBeLessThan(5_500);
    expect(processesOfPlays(own)).toEqual([]);
    expect(playDirectories().filter((name) => own.has(`${tmpdir()}/${name}`))).toEqual([]);
  }, 30_000);

  it('gives up at the deadline on a node that froze', async () => {
    const hasty = provisionerWith(bench.lab, bench.managementKey, { prefork, deadlineSeconds: 4 });
    await worker.freeze();
    try {
      expect((await failureOf(hasty.ensurePresent(nodeOf(worker), aSpec(bench.tenantKey)))).failure).toBe('deadline');
    } finally {
      await worker.thaw();
    }
  }, 30_000);

  it.each(['sly-flood', 'errors-without-end'])(
    'kills a play that a node fills without end (%s) long before its deadline, and says why',
    async (kind) => {
      // One that is well holds 82 MB.
      const small = provisionerWith(bench.lab, bench.managementKey, { prefork, memoryLimitMb: 90, deadlineSeconds: 90 });
      const { address, port, hostKey } = await openTrap(bench.lab, kind);
      const error = await failureOf(small.wipe({ nodeId: 7, address, port, hostKey }, []));
      expect(error).toMatchObject({ failure: 'failed', message: flooded });
      expect(error.output.length).toBeLessThanOrEqual(64 * 1024);
    },
    100_000,
  );

  it('stops at once when the caller aborts', async () => {
    const stop = new AbortController();
    const target = { ...nodeOf(worker), address: '127.0.0.1', port: (silent.address() as AddressInfo).port };
    const count = held.size;
    const failing = failureOf(bench.provisioner.wipe(target, [], { signal: stop.signal }));
    await eventually(() => held.size > count, { what: 'the play is connected' });
    const abortedAt = performance.now();
    stop.abort();
    expect((await failing).failure).toBe('deadline');
    expect(performance.now() - abortedAt).toBeLessThan(1_500);
  }, 30_000);

  it('names what is missing when Ansible is not installed, and does not blame the node for it', async () => {
    const bare = provisionerWith(bench.lab, bench.managementKey, { prefork, ansiblePlaybook: 'ansible-playbook-of-nobody' });
    const error: unknown = await bare.wipe(nodeOf(worker), []).catch((reason: unknown) => reason);
    expect(error).not.toBeInstanceOf(ProvisioningError);
    expect(error).toMatchObject({ message: expect.stringContaining('install ansible-core') });
  });

  it('shows no secret in the arguments of a process, here or on the node, nor in what it reports', async () => {
    const hash = '$6$saltsaltsalt$NeverShowThisHashToAnybodyAtAllNeverShowThisHashToAnybodyAtAllNeverShowThisHashToAny';
    const spec = aSpec(bench.tenantKey, { passwordHash: hash });
    let seen = 0;
    let done = false;
    const blob = spec.publicKeys[0]?.split(' ')[1] ?? '';
    const work = bench.provisioner.ensurePresent(nodeOf(worker), spec).finally(() => (done = true));
    const leaks = new Set<string>();
    await eventually(
      () => {
        for (const pid of pids()) {
          const args = read(`/proc/${pid}/cmdline`);
          seen += args.includes(command) ? 1 : 0;
          if (args.includes('NeverShowThis') || args.includes(blob)) {
            leaks.add(args);
          }
        }
        return done;
      },
      { what: 'the play has ended', everyMs: 1, timeoutMs: 20_000 },
    );
    expect(JSON.stringify(await work)).not.toContain('NeverShowThis');
    expect(seen).toBeGreaterThan(5);
    expect([...leaks]).toEqual([]);
    expect(await asRoot(worker, `grep '^${spec.username}:' /etc/shadow`)).toContain(hash);
  }, 30_000);
});
