import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, freePort, run, sshExec, sshOptions, type SshTarget, startProcess } from '../lab';
import type { Lease } from '../../src/contract';
import { openTerminal, type Terminal, throughGateway } from '../support/gateway-client';
import { useFleet, useGateway, useSystem, useTenant } from '../support/hooks';
import { inside, workerOf } from './support/inside';

const MIB = 1024 * 1024;

describe('the gateway', () => {
  afterAll(() => terminals.forEach((terminal) => terminal.close()));
  const system = useSystem({ apis: 1, schedulers: 1, gateway: true });
  const gateway = useGateway(system);
  const fleet = useFleet(system, 3);
  const ada = useTenant(system);
  let lease: Lease;
  let to: SshTarget;
  let here: string;
  const terminals: Terminal[] = [];

  const open = (target: SshTarget): Terminal => {
    const terminal = openTerminal(target);
    terminals.push(terminal);
    return terminal;
  };
  const copy = (program: string, ...args: string[]): ReturnType<typeof run> =>
    run(program, [...sshOptions(to).filter((word) => word !== '-tt'), ...args], { timeoutMs: 60_000 });

  /** Names with blanks too. */
  const expectFilesToArrive = async (): Promise<void> => {
    const content = randomBytes(3 * MIB + 17);
    const file = join(here, 'a file');
    writeFileSync(file, content);
    const remote = `${to.user}@${to.address}`;
    expect(await copy('scp', file, `${remote}:by-scp`)).toMatchObject({ code: 0 });
    expect(await copy('scp', '-O', file, `${remote}:by-old-scp`)).toMatchObject({ code: 0 });
    writeFileSync(join(here, 'batch'), `put "${file}" by-sftp\nrename by-sftp by-sftp-2\nget by-sftp-2 "${join(here, 'back')}"\n`);
    expect(await copy('sftp', '-b', join(here, 'batch'), remote)).toMatchObject({ code: 0 });
    expect(
      createHash('sha256')
        .update(readFileSync(join(here, 'back')))
        .digest('hex'),
    ).toBe(createHash('sha256').update(content).digest('hex'));
    const shell = ['ssh', ...sshOptions(to).map((word) => (/[ "]/.test(word) ? `'${word}'` : word))].join(' ');
    expect(await run('rsync', ['-a', '-e', shell, `${here}/`, `${remote}:by-rsync/`], { timeoutMs: 60_000 })).toMatchObject({ code: 0 });
    const sums = await sshExec(to, "sha256sum by-scp by-old-scp by-sftp-2 'by-rsync/a file' | cut -c1-64 | sort -u | wc -l");
    expect(sums.stdout.trim()).toBe('1');
  };

  beforeAll(async () => {
    lease = await ada.rentOne({ seconds: 1800 });
    to = throughGateway(ada, lease, gateway);
    here = join(system.lab.dir, 'here');
    mkdirSync(here);
  }, 120_000);

  it("the lease says where it is, with a host key that is the gateway's own", () => {
    expect(lease.gateway).toEqual({
      host: '127.0.0.1',
      port: gateway.port,
      username: `lease-${lease.id}`,
      host_key: gateway.hostKey,
      known_hosts: `[127.0.0.1]:${gateway.port} ${gateway.hostKey}`,
      command: `ssh -p ${gateway.port} lease-${lease.id}@127.0.0.1`,
    });
  });

  it('ssh: a command with its output, its errors, its input and its exit code, or the signal that ended it', async () => {
    expect(await sshExec(to, 'id -un; echo wrong >&2; exit 7')).toMatchObject({
      code: 7,
      stdout: `${lease.access?.username ?? ''}\n`,
      stderr: expect.stringContaining('wrong'),
    });
    expect(await sshExec(to, 'sha256sum', { input: 'abc' })).toMatchObject({ code: 0, stdout: expect.stringMatching(/^ba7816bf/) });
    expect(await sshExec(to, 'kill -9 $$')).toMatchObject({ code: 255 });
    expect(await sshExec(to, 'echo $LC_ORION', { args: ['-o', 'SetEnv=LC_ORION=passed'] })).toMatchObject({ code: 0 });
  }, 60_000);

  it('a shell: terminal, its size, window changes by the client, and the exit code', async () => {
    const terminal = open(to);
    terminal.type('echo term-$TERM; stty size; exit 3\n');
    await terminal.untilShown(/term-xterm\b[\s\S]*\d+ \d+/);
    expect(await terminal.untilExit()).toBe(3);
  }, 60_000);

  it('scp, sftp and rsync carry files unchanged', expectFilesToArrive, 120_000);

  it('ssh -L reaches what listens on the node itself, and nothing beyond it', async () => {
    await inside(
      workerOf(fleet, lease),
      "nohup python3 -c \"\nimport socket\ns=socket.socket();s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1);s.bind(('127.0.0.1',18999));s.listen()\nwhile True:\n c,_=s.accept();c.sendall(b'hello from the node');c.close()\" >/dev/null 2>&1 &",
    );
    const port = await freePort();
    const child = startProcess(system.lab, {
      name: 'ssh-L',
      command: 'ssh',
      args: [
        ...sshOptions(to),
        '-N',
        '-L',
        `127.0.0.1:${port}:127.0.0.1:18999`,
        '-L',
        `127.0.0.1:${await freePort()}:10.0.0.1:80`,
        `${to.user}@${to.address}`,
      ],
      env: {},
      cwd: here,
    });
    const answer = (): Promise<string> =>
      run('python3', ['-c', `import socket\ns=socket.create_connection(('127.0.0.1',${port}),5)\nprint(s.recv(100).decode())`], {}).then(
        ({ stdout }) => stdout,
      );
    await eventually(async () => (await answer()).includes('hello from the node'), {
      what: 'the forwarded port answers',
      timeoutMs: 20_000,
    });
    await child.stop();
  }, 60_000);

  it("strangers: a wrong key, another's lease, one that is over, one that never was and a name that is none look the same", async () => {
    const eve = await system.tenant();
    const over = await ada.rentOne();
    await ada.release(over.id);
    const attempts = [
      { ...to, keyFile: eve.keyFile },
      { ...to, user: `lease-${over.id}` },
      { ...to, user: 'lease-999999' },
      { ...to, user: 'root' },
      { ...to, user: '../../etc' },
    ];
    const answers = await Promise.all(attempts.map((target) => sshExec(target, 'true')));
    expect(answers.map(({ code }) => code)).toEqual(attempts.map(() => 255));
    const told = answers.map(({ stderr }, i) => stderr.replaceAll(attempts[i]?.user ?? '', 'NAME'));
    expect(told).toEqual(told.map(() => told[0]));
    await system.untilFree(2);
  }, 90_000);

  it('R21: the machine dies under an open shell: the client stays, is told, and has a prompt elsewhere, at the same address', async () => {
    const terminal = open(to);
    terminal.type('echo on-$(id -un)\n');
    await terminal.untilShown(new RegExp(`on-${lease.access?.username ?? ''}`));
    const command = sshExec(to, 'sleep 600', { timeoutMs: 60_000 });
    await eventually(async () => (await inside(workerOf(fleet, lease), 'pgrep -xc sleep || true')) !== '0', {
      what: 'the command runs',
      timeoutMs: 20_000,
    });
    const killedAt = performance.now();
    await workerOf(fleet, lease).kill();
    await terminal.untilShown(/\[orion\] the connection to .* is lost/, 20_000);
    expect(await command).toMatchObject({ code: 254, stderr: expect.stringContaining('[orion]') });
    await terminal.untilShown(/\[orion\] you are on/, 60_000);
    terminal.type('echo now-$(id -un)\n');
    const moved = await ada.untilLease(lease.id, 'is elsewhere', ({ generation, access }) => generation === 2 && access !== null);
    await terminal.untilShown(new RegExp(`now-${moved.access?.username ?? ''}`));
    expect(performance.now() - killedAt).toBeLessThan(60_000);
    expect(moved.ends_at).toBe(lease.ends_at);
    expect(await sshExec(to, 'id -un')).toMatchObject({ code: 0, stdout: `${moved.access?.username ?? ''}\n` });
    terminal.type('exit 5\n');
    expect(await terminal.untilExit()).toBe(5);
  }, 150_000);

  it('scp, sftp and rsync find the new one by the same line in known_hosts', expectFilesToArrive, 120_000);

  it('no machine is free: it says so, with the place in the order and the time left; Ctrl-C leaves', async () => {
    const others = (await system.nodes()).filter(({ lease_id }) => lease_id !== lease.id);
    const order = (what: 'drain' | 'undrain'): Promise<unknown> =>
      Promise.all(others.map(({ id }) => system.admin.post(`/api/nodes/${id}/${what}`, {})));
    await order('drain');
    const terminal = open(to);
    terminal.type('echo here\n');
    await terminal.untilShown(/\bhere\r\n/);
    const worker = workerOf(fleet, await ada.lease(lease.id));
    await worker.kill();
    await terminal.untilShown(/no machine is free: you are number 1 in the order; the lease ends in \d+ min/, 40_000);
    expect(terminal.exitCode()).toBeNull();
    terminal.type('\x03');
    expect(await terminal.untilExit()).toBe(130);
    await order('undrain');
    await ada.untilLease(lease.id, 'is somewhere', ({ state, access }) => state === 'active' && access !== null, 60_000);
    await Promise.all(fleet.workers.map(async (each) => ((await each.state()) === 'running' ? undefined : each.start())));
  }, 150_000);

  it('the end of the lease: warned before it, cut at it, with a status of its own', async () => {
    await system.untilFree(2, 60_000);
    const short = await ada.rentOne({ seconds: 75 });
    const terminal = open(throughGateway(ada, short, gateway));
    terminal.type('echo here\n');
    await terminal.untilShown(/\bhere\r\n/);
    await terminal.untilShown(/ends in \d+ (s|min)\. To keep it: orion extend/, 40_000);
    await ada.release(short.id);
    await terminal.untilShown(/is over/);
    expect(await terminal.untilExit()).toBe(253);
    // The gateway notes it after the client has gone.
    await ada.untilLease(short.id, 'was connected and disconnected', ({ events }) =>
      ['lease.connected', 'lease.disconnected'].every((type) => events.some((event) => event.type === type)),
    );
  }, 120_000);
});
