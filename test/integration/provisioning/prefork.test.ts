import { chmodSync, cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { createLogger, type Logger, silentLogger } from '../../../src/lib/logger';
import { eventually, generateSshKeyPair, projectDir, type Worker } from '../../lab';
import { aSpec, asRoot, createBench, nodeOf, provisionerWith, useBench } from './support';

const read = (path: string): string => {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
};
interface Process {
  pid: number;
  parent: number;
}
const processes = (): Process[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .map((pid) => ({ pid, parent: Number(/^PPid:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) }));
/** The processes that this one started and that have Ansible loaded, or are about to. */
const sources = (): number[] =>
  processes()
    .filter(({ pid, parent }) => parent === process.pid && read(`/proc/${pid}/cmdline`).includes('prefork_plays.py'))
    .map(({ pid }) => pid);
const forksOf = (source: number): number[] =>
  processes()
    .filter(({ parent }) => parent === source)
    .map(({ pid }) => pid);
const isPlaying = (pid: number): boolean => read(`/proc/${pid}/comm`).trim() === 'orion-play';
const anonymousKb = (pid: number): number => Number(/^RssAnon:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0);

describe('plays in prefork workers', () => {
  const { bench, worker } = useBench({ workers: 2 });
  let source: number;
  beforeAll(async () => {
    await bench.provisioner.verifyClean(nodeOf(worker), []);
    source = sources()[0] as number;
  }, 60_000);

  /** A play that waits on the node, for the lock that it takes there. */
  const startWaiting = async (signal?: AbortSignal): Promise<{ outcome: Promise<unknown>; fork: number; unlock: () => Promise<void> }> => {
    await asRoot(
      worker,
      'mkdir -p /var/lib/orion; (flock -w 5 9; echo held >/run/lock-held; exec sleep 60) 9>/var/lib/orion/lock >/dev/null 2>&1 & echo $! >/run/locker',
    );
    await eventually(async () => (await asRoot(worker, 'cat /run/lock-held 2>/dev/null || :')) === 'held', { what: 'the lock is held' });
    const outcome = bench.provisioner.wipe(nodeOf(worker), [], { signal }).then(
      () => 'ok',
      (error: unknown) => error,
    );
    const fork = await eventually(() => forksOf(source).find(isPlaying), { what: 'it plays', everyMs: 1 });
    await eventually(async () => (await programs()) === 1, { what: 'the program runs on the node' });
    const unlock = async (): Promise<void> => {
      await asRoot(worker, 'kill $(cat /run/locker); rm -f /run/lock-held');
    };
    return { outcome, fork, unlock };
  };
  const programs = async (): Promise<number> =>
    Number(
      await asRoot(
        worker,
        "for each in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$each; echo; done 2>/dev/null | grep -c '^python3 -I -S -' || :",
      ),
    );
  const untilNoProgram = (): Promise<unknown> =>
    eventually(async () => (await programs()) === 0, { what: 'nothing of the play runs on the node', timeoutMs: 5_000 });

  it('a play whose process is killed fails, what it started on the node ends, and the next play is none the worse', async () => {
    const { outcome, fork, unlock } = await startWaiting();
    process.kill(fork, 'SIGKILL');
    expect(await outcome).toMatchObject({ failure: 'failed' });
    await untilNoProgram();
    await unlock();
    await bench.provisioner.wipe(nodeOf(worker), []);
  }, 30_000);

  it('a play whose process stands still is killed when the caller stops it, and with it what it started on the node', async () => {
    const stop = new AbortController();
    const { outcome, fork, unlock } = await startWaiting(stop.signal);
    process.kill(fork, 'SIGSTOP');
    stop.abort();
    expect(await outcome).toMatchObject({ failure: 'deadline' });
    await eventually(() => !forksOf(source).includes(fork), { what: 'the process is gone', timeoutMs: 2_000 });
    await untilNoProgram();
    await unlock();
  }, 30_000);

  it('gives up at the deadline, and so does the node', async () => {
    const hasty = provisionerWith(bench.lab, bench.managementKey, { deadlineSeconds: 3 });
    const { unlock, outcome } = await startWaiting();
    await expect(hasty.wipe(nodeOf(worker), [])).rejects.toMatchObject({ failure: 'deadline', message: expect.stringContaining('3 s') });
    await eventually(async () => (await programs()) === 1, { what: 'only the other play is left on the node', timeoutMs: 5_000 });
    await unlock();
    expect(await outcome).toBe('ok');
    await hasty.close();
  }, 30_000);

  it('the process that has Ansible loaded may die: the next play starts another', async () => {
    process.kill(source, 'SIGKILL');
    const another = async (): Promise<number | undefined> => {
      await bench.provisioner.wipe(nodeOf(worker), []);
      return sources().find((pid) => pid !== source);
    };
    source = await eventually(another, { what: 'another one runs' });
  }, 30_000);

  it('a pooled session serves no other host key, and no other machine', async () => {
    const target = nodeOf(worker);
    await bench.provisioner.wipe(target, []);
    const hostKey = (await generateSshKeyPair(bench.lab.dir)).publicKey.split(' ').slice(0, 2).join(' ');
    await expect(bench.provisioner.wipe({ ...target, hostKey }, [])).rejects.toMatchObject({ failure: 'host_key_changed' });
    const other = bench.workers[1] as Worker;
    await expect(bench.provisioner.wipe({ ...nodeOf(other), hostKey: target.hostKey }, [])).rejects.toMatchObject({
      failure: 'host_key_changed',
    });
    await bench.provisioner.wipe(target, []);
  }, 30_000);

  it('an account counts only on a node that can be logged in to anew, though a connection from before still works', async () => {
    const other = bench.workers[1] as Worker;
    const target = nodeOf(other, 2);
    await bench.provisioner.ensurePresent(target, aSpec(bench.tenantKey));
    const listener = await asRoot(other, "pgrep -f 'sshd.*\\[listener\\]'");
    await asRoot(other, `kill -STOP ${listener}`);
    const moment = AbortSignal.timeout(2_000);
    await expect(bench.provisioner.ensurePresent(target, aSpec(bench.tenantKey), moment)).rejects.toMatchObject({ failure: 'deadline' });
    await asRoot(other, `kill -CONT ${listener}`);
    await bench.provisioner.ensurePresent(target, aSpec(bench.tenantKey));
    await expect(bench.provisioner.ensurePresent({ ...target, port: 1 }, aSpec(bench.tenantKey))).rejects.toMatchObject({
      failure: 'unreachable',
    });
    await bench.provisioner.wipe(target, []);
  }, 30_000);

  it('two plays on two nodes at once do what each was asked', async () => {
    const specs = bench.workers.map(() => aSpec(bench.tenantKey));
    await Promise.all(
      bench.workers.map((each, at) => bench.provisioner.ensurePresent(nodeOf(each, at + 1), specs[at] as (typeof specs)[0])),
    );
    const found = await Promise.all(bench.workers.map((each) => asRoot(each, "grep -o '^orn-[^:]*' /etc/passwd")));
    expect(found.map((names, at) => names.split('\n').includes(specs[at]?.username ?? ''))).toEqual([true, true]);
    expect(found[0]).not.toContain(specs[1]?.username);
    await Promise.all(bench.workers.map((each, at) => bench.provisioner.wipe(nodeOf(each, at + 1), [])));
  }, 30_000);

  it('every play has a process of its own, and a hundred of them leave the first as large as it was', async () => {
    const target = nodeOf(worker);
    const before = anonymousKb(source);
    const waiting = new Set<number>();
    for (let play = 0; play < 100; play += 1) {
      forksOf(source).forEach((pid) => waiting.add(pid));
      await bench.provisioner.verifyClean(target, []);
    }
    expect(waiting.size).toBeGreaterThan(50);
    expect(anonymousKb(source)).toBeLessThan(before + 1024);
    expect(forksOf(source).length).toBeLessThanOrEqual(2);
  }, 120_000);

  it('without an Ansible that can be loaded it says so once, and plays as processes of their own', async () => {
    const { dir } = bench.lab;
    const python = join(dir, 'python3');
    const playbook = join(dir, 'ansible-playbook');
    // Sees no Ansible when it is to stay, and does when it is asked for one play.
    writeFileSync(python, '#!/bin/sh\n[ "$1" = -B ] && exec /usr/bin/python3 -S "$@"\nexec /usr/bin/python3 "$@"\n');
    writeFileSync(playbook, read('/usr/bin/ansible-playbook').replace(/^#!.*/, `#!${python}`));
    [python, playbook].forEach((file) => chmodSync(file, 0o755));
    const lines: string[] = [];
    const logger = createLogger('warn', (level, message) => lines.push(`${level} ${message}`));
    const poor = provisionerWith(bench.lab, bench.managementKey, { ansiblePlaybook: playbook, logger });
    await poor.wipe(nodeOf(worker), []);
    await poor.wipe(nodeOf(worker), []);
    expect(lines).toEqual(['warn plays run without prefork workers, each with a start of Ansible of its own']);
  }, 60_000);

  it('leaves nothing behind when it is closed', async () => {
    const forks = forksOf(source);
    await bench.provisioner.close();
    expect([source, ...forks].filter((pid) => read(`/proc/${pid}/cmdline`) !== '')).toEqual([]);
    expect(await bench.provisioner.wipe(nodeOf(worker), []).then(() => sources())).toEqual([]);
  }, 30_000);
});

describe('prefork workers that get no play', () => {
  it('are done without, and the log says why', async () => {
    const logs: string[] = [];
    const logger: Logger = { ...silentLogger, warn: (message, fields) => void logs.push(`${message} ${JSON.stringify(fields)}`) };
    const bench = await createBench({ prefork: false });
    const broken = join(bench.lab.dir, 'playbooks');
    cpSync(join(projectDir, 'playbooks'), broken, { recursive: true });
    const script = join(broken, 'prefork', 'prefork_plays.py');
    writeFileSync(script, readFileSync(script, 'utf8').replace('connection.connect(address)', "connection.connect('elsewhere')"));
    const provisioner = provisionerWith(bench.lab, bench.managementKey, { logger, playbooksDir: broken });
    await provisioner.wipe(nodeOf(bench.workers[0] as Worker), []);
    expect(logs).toEqual([
      expect.stringMatching(/plays run without prefork workers.*no play can be had from the control plane.*No such file or directory/),
    ]);
    await bench.lab.close();
  }, 120_000);
});
