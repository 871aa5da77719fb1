import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { rootOf } from '../chaos/rogue/workers';
import { renderKnownHosts, renderSshConfig } from '../../src/cli/ssh-config';
import {
  eventually,
  freePort,
  type LabProcess,
  run,
  runOrThrow,
  type RunResult,
  sshExec,
  sshOptions,
  type SshTarget,
  startProcess,
} from '../lab';
import type { Lease } from '../../src/contract';
import { openTerminal, throughGateway } from '../support/gateway-client';
import { useFirstWorker, useFleet, useGateway, useSystem, useTenant } from '../support/hooks';

/** Text, because the test passes it as a string. More than the windows of every client here. */
const LONG = randomBytes(1_500_000).toString('hex');
const sum = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex');
/** Writes a lot to both outputs by turns, more than any client's window takes at once. */
const BOTH_OUTPUTS =
  "python3 -c \"import sys\nfor i in range(4000):\n sys.stdout.write('o%06d' % i + 'x' * 1000 + chr(10)); sys.stdout.flush(); sys.stderr.write('e%06d' % i + 'y' * 1000 + chr(10))\"";
const OUTPUT = Array.from({ length: 4000 }, (_, i) => `o${String(i).padStart(6, '0')}${'x'.repeat(1000)}\n`).join('');
const ERRORS = Array.from({ length: 4000 }, (_, i) => `e${String(i).padStart(6, '0')}${'y'.repeat(1000)}\n`).join('');
/** An HTTP/1.0 style server: it ends its side after the greeting, and still reads what comes. */
const SERVER = `import os, socket, sys
where = sys.argv[1]
s = socket.socket(socket.AF_UNIX if '/' in where else socket.AF_INET)
s.bind(where if '/' in where else ('127.0.0.1', int(where)))
s.listen()
print('listening', flush=True)
while True:
    c, _ = s.accept()
    c.sendall(b'hello')
    c.shutdown(socket.SHUT_WR)
    got = b''
    while len(got) < 4: got += c.recv(100) or b'gone'
    open('received', 'ab').write(got)
    c.close()
`;
/** Reads the greeting to its end, then answers. */
const CALL = `import socket, sys
where = sys.argv[1]
s = socket.create_connection(('127.0.0.1', int(where)), 5) if '/' not in where else socket.socket(socket.AF_UNIX)
if '/' in where: s.connect(where)
got = b''
while True:
    piece = s.recv(100)
    if not piece: break
    got += piece
s.sendall(b'late')
s.close()
print(got.decode())
`;

describe('the clients that people use, through the gateway', () => {
  const system = useSystem({ apis: 1, schedulers: 1, gateway: true });
  const gateway = useGateway(system);
  const worker = useFirstWorker(useFleet(system, 1));
  const ada = useTenant(system);
  let lease: Lease;
  let to: SshTarget;
  let direct: SshTarget;
  let remote: string;
  let here: string;
  let putty: string[];
  let dropbear: string[];
  let openssh: string;

  const client = (name: string, args: string[], input?: string): Promise<RunResult> =>
    run(name, args, { timeoutMs: 40_000, env: { ...process.env, HOME: here }, ...(input === undefined ? {} : { input }) });
  const quoted = (words: string[]): string => words.map((word) => (/[ "]/.test(word) ? `'${word}'` : word)).join(' ');
  const hold = (name: string, args: string[]): LabProcess =>
    startProcess(system.lab, { name, command: name, args, cwd: here, env: { HOME: here } });
  const serve = async (where: string): Promise<void> => {
    await sshExec(direct, 'cat > server.py', { input: SERVER });
    await sshExec(
      direct,
      `rm -f '${where}'; (setsid python3 server.py '${where}' >'log-${sum(where)}' 2>&1 </dev/null &) ; until grep -q listening 'log-${sum(where)}'; do sleep 0.05; done`,
    );
  };
  const call = (where: string | number): Promise<string> =>
    eventually(async () => (await run('python3', ['-c', CALL, String(where)], { timeoutMs: 10_000 })).stdout.trim(), {
      what: 'the forwarded server greets',
      timeoutMs: 15_000,
    });

  beforeAll(async () => {
    lease = await ada.rentOne({ seconds: 1800 });
    to = throughGateway(ada, lease, gateway);
    const { access } = lease;
    if (!access) {
      throw new Error('a lease without an account');
    }
    direct = { address: access.host, port: access.port, user: access.username, hostKey: access.host_key, keyFile: ada.keyFile };
    remote = `${to.user}@${to.address}`;
    here = join(system.lab.dir, 'here');
    mkdirSync(here);
    await runOrThrow('puttygen', [to.keyFile, '-O', 'private', '-o', join(here, 'key.ppk')]);
    await runOrThrow('dropbearconvert', ['openssh', 'dropbear', to.keyFile, join(here, 'key.dropbear')]);
    const [, blob = ''] = to.hostKey.split(' ');
    const fingerprint = createHash('sha256').update(Buffer.from(blob, 'base64')).digest('base64').replace(/=+$/, '');
    putty = ['-batch', '-P', String(to.port), '-i', join(here, 'key.ppk'), '-hostkey', `SHA256:${fingerprint}`];
    dropbear = ['-y', '-y', '-p', String(to.port), '-i', join(here, 'key.dropbear')];
    const config = join(here, 'ssh_config');
    writeFileSync(
      config,
      sshOptions(to)
        .filter((word) => word.includes('='))
        .map((line) => `${line}\n`)
        .join(''),
    );
    openssh = `ssh -F ${config}`;
  }, 120_000);

  it.each(['OpenSSH', 'plink', 'dbclient'] as const)(
    '%s: exit code, three megabytes in and out, and both outputs filled by turns',
    async (name) => {
      const exec = (command: string, input?: string): Promise<RunResult> => {
        switch (name) {
          case 'OpenSSH':
            return client('ssh', [...sshOptions(to), '-C', remote, command], input);
          case 'plink':
            return client('plink', [...putty, remote, command], input);
          case 'dbclient':
            return client('dbclient', [...dropbear, remote, command], input);
        }
      };
      expect(await exec('echo out; echo err >&2; exit 7')).toMatchObject({
        code: 7,
        stdout: 'out\n',
        stderr: expect.stringContaining('err'),
      });
      expect((await exec('sha256sum', LONG)).stdout).toContain(sum(LONG));
      const back = await exec('cat', LONG);
      expect([back.code, sum(back.stdout)]).toEqual([0, sum(LONG)]);
      const both = await exec(BOTH_OUTPUTS);
      expect([both.code, both.stdout === OUTPUT, both.stderr.includes(ERRORS)]).toEqual([0, true, true]);
    },
    90_000,
  );

  it('pscp by both of its protocols, and scp over dbclient', async () => {
    const file = join(here, 'a file');
    writeFileSync(file, LONG);
    for (const protocol of ['-sftp', '-scp']) {
      expect(await client('pscp', ['-q', protocol, ...putty, file, `${remote}:by-pscp`])).toMatchObject({ code: 0 });
      expect(await client('pscp', ['-q', protocol, ...putty, `${remote}:by-pscp`, join(here, 'back')])).toMatchObject({ code: 0 });
      expect(sum(readFileSync(join(here, 'back')))).toBe(sum(LONG));
    }
    const dbclient = join(here, 'dbclient');
    // scp passes options of OpenSSH that dbclient does not know.
    writeFileSync(
      dbclient,
      `#!/bin/bash\nwhile [[ $1 == -o* || $1 == -x || $1 == -2 ]]; do [[ $1 != -o ]] || shift; shift; done\nwhile [[ $1 == -[oxl]* ]]; do [[ $1 == -o?* || $1 == -x ]] || { [[ $1 != -l ]] || user=$2; shift; }; shift; done\n[[ $1 != -- ]] || shift\nexec dbclient ${quoted(dropbear)} "$user@$1" "\${@:2}"\n`,
    );
    chmodSync(dbclient, 0o755);
    expect(await client('scp', ['-O', '-S', dbclient, file, `${remote}:by-dbclient`])).toMatchObject({ code: 0 });
    expect((await sshExec(to, 'sha256sum by-dbclient')).stdout).toContain(sum(LONG));
  }, 90_000);

  it('OpenSSH by what `orion config-ssh` writes, above a Host * that would lead elsewhere', async () => {
    const file = join(here, 'config-ssh');
    const knownHosts = join(here, 'config-known-hosts');
    const hosts = [
      { leaseId: lease.id, target: { host: to.address, port: to.port, username: to.user, host_key: to.hostKey }, privateKey: to.keyFile },
    ];
    writeFileSync(knownHosts, renderKnownHosts(hosts));
    writeFileSync(
      file,
      `${renderSshConfig(hosts, knownHosts)}\nHost *\n${['RemoteCommand false', 'RequestTTY force', 'ProxyJump nowhere', 'ControlMaster auto', `ControlPath ${join(here, 'one')}`, 'User root', 'HostKeyAlias other', 'IdentityFile /etc/hostname', 'BatchMode yes'].map((line) => `  ${line}\n`).join('')}`,
    );
    const host = `orion-${lease.id}`;
    expect(await client('ssh', ['-F', file, host, 'id -un'])).toMatchObject({ code: 0, stdout: `${direct.user}\n` });
    expect(await client('scp', ['-F', file, file, `${host}:by-config`])).toMatchObject({ code: 0 });
    expect(await client('rsync', ['-e', `ssh -F ${file}`, file, `${host}:by-rsync`])).toMatchObject({ code: 0 });
    expect(await sshExec(direct, 'cmp by-config by-rsync')).toMatchObject({ code: 0 });
  }, 60_000);

  it('git: clone, commit and push', async () => {
    await sshExec(direct, 'git init -q --bare project.git');
    const git = (...args: string[]): Promise<RunResult> =>
      run('git', ['-c', 'user.name=Ada', '-c', 'user.email=ada@orion.example', ...args], {
        env: { ...process.env, HOME: here, GIT_SSH_COMMAND: openssh },
        cwd: here,
      });
    expect(await git('clone', '-q', `ssh://${remote}/~/project.git`, 'project')).toMatchObject({ code: 0 });
    writeFileSync(join(here, 'project', 'large'), randomBytes(3_000_000));
    for (const step of [
      ['add', 'large'],
      ['commit', '-qm', 'large'],
      ['push', '-q', 'origin', 'HEAD'],
    ]) {
      expect(await git('-C', 'project', ...step)).toMatchObject({ code: 0 });
    }
    expect(await git('clone', '-q', `ssh://${remote}/~/project.git`, 'again')).toMatchObject({ code: 0 });
    expect(sum(readFileSync(join(here, 'again', 'large')))).toBe(sum(readFileSync(join(here, 'project', 'large'))));
  }, 60_000);

  it('sshfs: a mounted home is written, read, listed and renamed in', async () => {
    const at = join(here, 'mounted');
    mkdirSync(at);
    await runOrThrow('sshfs', [`${remote}:`, at, '-o', `ssh_command=${openssh}`]);
    try {
      writeFileSync(join(at, 'written'), LONG);
      await runOrThrow('mv', [join(at, 'written'), join(at, 'renamed')]);
      expect(readdirSync(at)).toContain('renamed');
      expect((await sshExec(direct, 'sha256sum renamed')).stdout).toContain(sum(LONG));
      expect(sum(readFileSync(join(at, 'renamed')))).toBe(sum(LONG));
    } finally {
      await runOrThrow('fusermount3', ['-u', at]);
    }
  }, 60_000);

  it('as an editor does it over sftp: a tree of many small files, links and modes, there and back', async () => {
    const tree = join(here, 'tree');
    for (let i = 0; i < 200; i++) {
      mkdirSync(join(tree, `folder ${i % 20}`, 'deep'), { recursive: true });
      writeFileSync(join(tree, `folder ${i % 20}`, 'deep', `file-${i}.ts`), `${i}\n`.repeat(i));
    }
    symlinkSync('folder 1', join(tree, 'link'));
    rmSync(join(here, 'tree-back'), { recursive: true, force: true });
    writeFileSync(
      join(here, 'batch'),
      `mkdir tree\nput -pr tree\nls -la tree\nchmod 700 "tree/folder 3"\nrename "tree/folder 3" "tree/renamed"\nsymlink renamed tree/link\nget -pr tree tree-back\n`,
    );
    expect(await run('sftp', [...sshOptions(to), '-b', 'batch', remote], { cwd: here })).toMatchObject({ code: 0 });
    expect(readFileSync(join(here, 'tree-back', 'renamed', 'deep', 'file-183.ts'), 'utf8')).toBe('183\n'.repeat(183));
    expect(readdirSync(join(here, 'tree-back', 'folder 7', 'deep'))).toHaveLength(10);
  }, 60_000);

  it('as a remote editor does it: a long piped script starts a server, and a port is forwarded to it by SOCKS on the same connection', async () => {
    const socks = await freePort();
    const port = await freePort();
    const script = `# ${'padding '.repeat(5_000)}\nmkdir editor && cd editor\ncat > editor.py <<'END'\n${SERVER}END\n(setsid python3 editor.py ${port} >editor.log 2>&1 </dev/null &)\nuntil grep -q listening editor.log; do sleep 0.05; done\necho listeningOn=="${port}"==\nsleep 600\n`;
    const file = join(here, 'script');
    writeFileSync(file, script);
    const editor = startProcess(system.lab, {
      name: 'editor',
      command: 'bash',
      args: ['-c', `exec ${openssh} -T -D 127.0.0.1:${socks} ${remote} sh < ${quoted([file])}`],
      cwd: here,
    });
    await eventually(() => editor.log().includes(`listeningOn==${port}==`), { what: 'the server runs', timeoutMs: 20_000 });
    const viaSocks = `import socket, struct\ns = socket.create_connection(('127.0.0.1', ${socks}), 5)\ns.sendall(b'\\x05\\x01\\x00'); s.recv(2)\ns.sendall(b'\\x05\\x01\\x00\\x03\\x09localhost' + struct.pack('>H', ${port}))\nassert s.recv(10)[1] == 0\nprint(s.recv(100).decode())`;
    expect(await run('python3', ['-c', viaSocks])).toMatchObject({ code: 0, stdout: 'hello\n' });
    await editor.stop();
  }, 60_000);

  it('ssh -L to a port and to a UNIX socket: a server that has ended its side still gets what the client sends', async () => {
    const [port, local, ofSocket, byDropbear] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
    await Promise.all([serve(String(port)), serve('/tmp/orion-clients.sock')]);
    const forwarding = hold('ssh', [
      ...sshOptions(to),
      '-N',
      '-L',
      `127.0.0.1:${local}:127.0.0.1:${port}`,
      '-L',
      `127.0.0.1:${ofSocket}:/tmp/orion-clients.sock`,
      remote,
    ]);
    const other = hold('dbclient', [...dropbear, '-N', '-L', `127.0.0.1:${byDropbear}:127.0.0.1:${port}`, remote]);
    expect([await call(local), await call(ofSocket), await call(byDropbear)]).toEqual(['hello', 'hello', 'hello']);
    await eventually(async () => (await sshExec(direct, 'cat received')).stdout === 'latelatelate', {
      what: 'what was sent late arrives',
      timeoutMs: 10_000,
    });
    await Promise.all([forwarding.stop(), other.stop()]);
  }, 60_000);

  it('ssh -R from a port and from a UNIX socket of the node', async () => {
    const port = await freePort();
    writeFileSync(join(here, 'server.py'), SERVER);
    const server = startProcess(system.lab, { name: 'server', command: 'python3', args: ['server.py', String(port)], cwd: here });
    await eventually(() => server.log().includes('listening'), { what: 'the server runs', timeoutMs: 10_000 });
    const ofNode = await freePort();
    const forwarding = hold('ssh', [
      ...sshOptions(to),
      '-N',
      '-R',
      `127.0.0.1:${ofNode}:127.0.0.1:${port}`,
      '-R',
      `/tmp/orion-remote.sock:127.0.0.1:${port}`,
      remote,
    ]);
    const fromNode = (where: string): Promise<string> =>
      sshExec(direct, `python3 - ${where}`, { input: CALL }).then(({ stdout }) => stdout.trim());
    await eventually(async () => (await fromNode('/tmp/orion-remote.sock')) === 'hello', {
      what: 'the socket on the node leads here',
      timeoutMs: 15_000,
    });
    expect(await fromNode(String(ofNode))).toBe('hello');
    await forwarding.stop();
    await server.stop();
  }, 60_000);

  it('a machine whose sshd no longer admits the account ends commands and shells within seconds, with the reason', async () => {
    await rootOf(worker, 'sed -i "1i DenyUsers orn-*" /etc/ssh/sshd_config && kill -HUP "$(pgrep -o -x sshd)"');
    const terminal = openTerminal(to);
    const why = new RegExp(`refuses the login of this lease's account ${direct.user}\\. Its sshd does not admit it \\(AllowUsers`);
    expect(await sshExec(to, 'true', { timeoutMs: 20_000 })).toMatchObject({ code: 255, stderr: expect.stringMatching(why) });
    await terminal.untilShown(why, 20_000);
    expect(await terminal.untilExit()).toBe(255);
    await rootOf(worker, 'sed -i "/^DenyUsers/d" /etc/ssh/sshd_config && kill -HUP "$(pgrep -o -x sshd)"');
    expect(await sshExec(to, 'true')).toMatchObject({ code: 0 });
  }, 60_000);
});
