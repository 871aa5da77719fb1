import { beforeAll, describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import {
  createLab,
  eventually,
  generateSshKeyPair,
  launchScript,
  launchWorkers,
  projectDir,
  run,
  sshExec,
  type SshTarget,
  type Worker,
} from '../../lab';
import { useFirstWorker, useForAll, useLab } from '../../support/hooks';

describe('a worker sandbox', () => {
  const lab = useLab();
  const fleet = useForAll(() => launchWorkers(lab, 2));
  const worker = useFirstWorker(fleet);
  const key = useForAll(() => generateSshKeyPair(lab.dir));
  const target = (user = 'root'): SshTarget => ({ ...worker, user, keyFile: key.keyFile });
  const ssh = async (command: string): Promise<string> => (await sshExec(target(), command)).stdout.trim();

  beforeAll(() => worker.authorizeRoot(key.publicKey), 60_000);

  it('is a machine of its own: name, processes, files and accounts', async () => {
    expect(await ssh('hostname')).toBe('worker-1');
    expect(await ssh('cat /proc/1/comm')).toBe('bash');
    // The checkout is shown at its own path, wherever that is.
    const own = (await ssh('find /home /tmp /var/tmp -mindepth 1 ! -type l'))
      .split('\n')
      .filter((path) => path !== '' && !projectDir.startsWith(`${path}/`));
    expect(own).toEqual([]);
    expect(await ssh('touch /usr/x 2>&1; ls /usr/x 2>&1')).toContain('Read-only file system');
    expect(await ssh('useradd -m orn-own && id -un orn-own')).toBe('orn-own');
    expect(readFileSync('/etc/passwd', 'utf8')).not.toContain('orn-own');
  });

  it('shows a host key that can be pinned, and no other worker shows the same', async () => {
    const other = fleet.workers[1] as Worker;
    expect(worker.hostKey).toMatch(/^ssh-ed25519 AAAA/);
    expect(other.hostKey).not.toBe(worker.hostKey);
    const refused = await sshExec({ ...target(), hostKey: other.hostKey }, 'true');
    expect(refused.code).toBe(255);
    expect(refused.stderr).toContain('verification failed');
  });

  it('gives a terminal, and passes the exit code of a command', async () => {
    expect((await sshExec(target(), 'tty', { tty: true })).stdout.trim()).toMatch(/^\/dev\/pts\/\d+$/);
    expect((await sshExec(target(), 'exit 7')).code).toBe(7);
  });

  it('refuses an account that has expired', async () => {
    const prepared = await worker.exec(
      'useradd -m -p "*" orn-old && install -d -o orn-old -m 700 ~orn-old/.ssh && install -o orn-old -m 600 /root/.ssh/authorized_keys ~orn-old/.ssh/',
    );
    expect(prepared).toMatchObject({ code: 0 });
    expect((await sshExec(target('orn-old'), 'id -un')).stdout.trim()).toBe('orn-old');
    await worker.exec('chage -E 1 orn-old');
    expect((await sshExec(target('orn-old'), 'id -un')).code).toBe(255);
  });

  it('hides the project from an account without rights', async () => {
    await worker.exec('useradd -m orn-curious');
    expect((await worker.exec(`cat "${launchScript}"`)).code).toBe(0);
    expect((await worker.exec(`su -s /bin/sh orn-curious -c 'cat "${launchScript}"'`)).code).not.toBe(0);
  });

  it('reaps orphans', async () => {
    await ssh('(sh -c "sleep 0.1 & :" &)');
    await eventually(async () => (await ssh('ps -eo stat=,comm= | grep -c -e ^Z -e sleep')) === '0', { what: 'no zombie is left' });
  });

  it('dies at once and comes back with its files and its host key', async () => {
    const { hostKey } = worker;
    await ssh('echo kept > /root/file; sync');
    await worker.kill();
    expect(await worker.state()).toBe('stopped');
    expect((await sshExec(target(), 'true')).code).toBe(255);
    await worker.start();
    expect(worker.hostKey).toBe(hostKey);
    expect(await ssh('cat /root/file')).toBe('kept');
  });

  it('takes connections but answers nothing while frozen, and goes on when thawed', async () => {
    await worker.freeze();
    expect(await worker.state()).toBe('frozen');
    expect(await sshExec(target(), 'true', { timeoutMs: 1000 })).toMatchObject({ timedOut: true });
    await worker.thaw();
    expect(await ssh('echo here')).toBe('here');
  });

  it('comes back as another machine when started fresh', async () => {
    const { hostKey } = worker;
    await worker.stop();
    await worker.start({ fresh: true });
    expect(worker.hostKey).not.toBe(hostKey);
    expect((await worker.exec('ls /root/file')).code).not.toBe(0);
  });
});

describe('removing workers', () => {
  it('leaves no process, mount or folder, even of one that is frozen, and may be repeated', async () => {
    const lab = createLab();
    const fleet = await launchWorkers(lab, 2);
    await fleet.workers[0]?.exec('setsid sleep 1000 >/dev/null 2>&1 &');
    await fleet.workers[1]?.freeze();
    await fleet.remove();
    await fleet.remove();
    expect(existsSync(fleet.stateDir)).toBe(false);
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(lab.dir);
    expect((await run('grep', ['-lF', fleet.stateDir, '-r', '/proc', '--include=environ', '-s'])).stdout).toBe('');
    await lab.close();
    expect(existsSync(lab.dir)).toBe(false);
  }, 60_000);
});
