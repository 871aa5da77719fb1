import { beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Caddy, eventually, freePort, launchWorkers, programDir, run, startProjectCaddy, type Worker } from '../../lab';
import { expectStatus } from '../../support/api-client';
import { useSystem } from '../../support/hooks';
import { givenSshdLine } from '../../support/sshd';
import { buildAgent, filesOf, get, install, makeInstallable, startTamperer } from './support';

/** The real script in machines that have sshd and nothing of Orion, against a real control plane, behind the project's own Caddyfile. */
beforeAll(buildAgent, 300_000);
const system = useSystem({ apis: 1, schedulers: 1, env: { ORION_TRUST_PROXY: 'loopback' } });
let caddy: Caddy;
let ca: string;
let workers: [Worker, Worker];

beforeAll(async () => {
  caddy = await startProjectCaddy(system.lab, system.apis);
  ca = readFileSync(caddy.caFile, 'utf8');
  await eventually(async () => (await get(`${caddy.httpsUrl}/install.sh`, { ca })).status === 200, {
    what: 'Caddy finds the API',
    timeoutMs: 30_000,
  });
  workers = (await launchWorkers(system.lab, 2)).workers as [Worker, Worker];
  await Promise.all(workers.map(makeInstallable));
}, 300_000);

const apiUrl = (): string => system.apis[0]?.url ?? '';
const settingsOf = ({ name, address, port }: Worker): Record<string, string> => ({
  MY_HOSTNAME: name,
  MY_ADDRESS: address,
  MY_HOST_PORT: String(port),
});
const scriptFrom = async (url: string): Promise<string> => (await get(`${url}/install.sh`, { ca })).body.toString();

describe('what a machine downloads', () => {
  it('is the agent in one file with its checksum, and a script that names both', async () => {
    const agent = await get(`${caddy.httpsUrl}/orion-agent.js`, { ca });
    const built = readFileSync(join(programDir, 'dist', 'orion-agent.js'));
    const sha256 = createHash('sha256').update(built).digest('hex');
    expect(agent).toMatchObject({
      status: 200,
      body: built,
      headers: { etag: `"${sha256}"`, 'repr-digest': `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:` },
    });
    expect((await get(`${apiUrl()}/orion-agent.js`, { headers: { 'if-none-match': `"${sha256}"` } })).status).toBe(304);
    expect((await get(`${caddy.httpsUrl}/orion-agent.js.sha256`, { ca })).body.toString()).toBe(`${sha256}  orion-agent.js\n`);
    const script = await scriptFrom(caddy.httpsUrl);
    expect(script).toContain(`URL='${caddy.httpsUrl}'`);
    expect(script).toContain(`\nSCRIPT_SHA256='${sha256}'\n`);
  });

  it('is the agent with its own Node.js, for each architecture that was built', async () => {
    const built = readFileSync(join(programDir, 'dist', 'orion-agent-linux-x64.gz'));
    const sha256 = createHash('sha256').update(built).digest('hex');
    const agent = await get(`${caddy.httpsUrl}/orion-agent-linux-x64.gz`, { ca });
    expect(agent).toMatchObject({
      status: 200,
      headers: { etag: `"${sha256}"`, 'content-type': 'application/gzip', 'content-length': String(built.length) },
    });
    expect(createHash('sha256').update(agent.body).digest('hex')).toBe(sha256);
    expect(built.length).toBeLessThan(45e6);
    expect((await get(`${caddy.httpsUrl}/orion-agent-linux-x64.gz.sha256`, { ca })).body.toString()).toBe(
      `${sha256}  orion-agent-linux-x64.gz\n`,
    );
    expect(await scriptFrom(caddy.httpsUrl)).toContain(`\nX64_SHA256='${sha256}'\n`);
  });

  it('does not come over plain http from the outside', async () => {
    for (const path of ['/install.sh', '/orion-agent.js', '/orion-agent.js.sha256', '/orion-agent-linux-x64.gz']) {
      expect(await get(`${caddy.httpUrl}${path}`)).toMatchObject({ status: 308, headers: { location: `${caddy.httpsUrl}${path}` } });
    }
  });

  it.each(["a'; id; '", '$(id)', '`id`', 'a b', 'a"b', 'u@b', 'a/b', 'a?b', '[id]', "a\\'"])(
    'is refused to who gives %j as the host',
    async (host) => {
      expect(await get(`${apiUrl()}/install.sh`, { headers: { host } })).toMatchObject({ status: 400 });
      expect(await get(`${apiUrl()}/install.sh`, { headers: { 'x-forwarded-host': host } })).toMatchObject({ status: 400 });
    },
  );

  it('is kept by no cache when the host was taken from the request', async () => {
    expect((await get(`${apiUrl()}/install.sh`)).headers['cache-control']).toBe('no-store');
  });

  it('is good for dash and for BusyBox', async () => {
    const script = await scriptFrom(caddy.httpsUrl);
    const checked = await Promise.all([run('dash', ['-n'], { input: script }), run('busybox', ['ash', '-n'], { input: script })]);
    expect(checked).toMatchObject([
      { code: 0, stderr: '' },
      { code: 0, stderr: '' },
    ]);
  });
});

describe('a machine that cannot be enrolled', () => {
  it('is told why, and nothing is changed on it', async () => {
    const [, worker] = workers;
    const before = await filesOf(worker);
    const script = await scriptFrom(apiUrl());
    const nobody = `http://127.0.0.1:${await freePort()}`;
    const tamperer = await startTamperer(apiUrl());
    const token = { ...settingsOf(worker), ORION_TOKEN: 'orion_join_x' };
    // A machine for which no self-contained agent was built, and whose Node.js is too old.
    const old =
      'mkdir -p /run/lab && printf "#!/bin/sh\\necho riscv64\\n" >/run/lab/uname && chmod 755 /run/lab/uname && printf "#!/bin/sh\\n[ \\$1 != -e ] || exit 1; echo v18.19.0\\n" >/run/lab/node && chmod 755 /run/lab/node && PATH=/run/lab:$PATH sh';
    const cases: [string, Promise<string>, { env?: Record<string, string>; shell?: string }][] = [
      ['must run as root', Promise.resolve(script), { env: token, shell: 'setpriv --reuid 65534 --regid 65534 --clear-groups sh' }],
      ['ORION_TOKEN is not set', Promise.resolve(script), { env: settingsOf(worker) }],
      ['is not a join token', Promise.resolve(script), { env: { ...token, ORION_TOKEN: 'a b' } }],
      ['ORION_LABELS holds a character that it must not', Promise.resolve(script), { env: { ...token, ORION_LABELS: 'a=$(id)' } }],
      [
        'MY_HOSTNAME: must be a host name: 1 to 253 letters, digits, dots and hyphens',
        Promise.resolve(script),
        { env: { ...token, MY_HOSTNAME: 'my_host' } },
      ],
      ['there is no SSH host key /nowhere', Promise.resolve(script), { env: { ...token, ORION_HOST_KEY_FILE: '/nowhere' } }],
      ['/nowhere cannot be read', Promise.resolve(script), { env: { ...token, ORION_CA_FILE: '/nowhere' } }],
      ['Node.js 20 or newer is needed, and /run/lab/node is v18.19.0', Promise.resolve(script), { shell: `sh -c '${old}'` }],
      ['Connection refused', Promise.resolve(script.replaceAll(apiUrl(), nobody)), { env: token }],
      ['wrong checksum', scriptFrom(tamperer.url), { env: token }],
      // The certificate is of an authority that this machine does not know.
      ['certificate', scriptFrom(caddy.httpsUrl), { env: token }],
    ];
    for (const [reason, text, how] of cases) {
      const { code, stderr } = await install(worker, await text, how);
      expect({ reason, code, stderr }).toEqual({ reason, code: 1, stderr: expect.stringContaining(reason) });
    }
    await tamperer.close();
    expect(await filesOf(worker)).toEqual(before);
  }, 180_000);

  it('is told in one sentence that its token is not good, and nothing of the agent remains', async () => {
    const [, worker] = workers;
    const before = await filesOf(worker);
    const made = expectStatus(
      await system.admin.post<{ id: number; token: string }>('/api/tokens', { name: 'expired', max_uses: 1, ttl_hours: 1 }),
      201,
    );
    await system.sql("UPDATE join_tokens SET expires_at = '2000-01-01' WHERE id = ?", [made.id]);
    const { code, stdout, stderr } = await install(worker, await scriptFrom(apiUrl()), {
      env: { ...settingsOf(worker), ORION_TOKEN: made.token },
    });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `orion: ${apiUrl()} does not take this machine in, and nothing was changed on it: The join token is unknown, used up, expired, revoked or from before this release. Ask an operator for a new one: \`orion token create\`.\n`,
    });
    expect(stdout).not.toContain('{');
    expect(await filesOf(worker)).toEqual(before);
    expect((await worker.exec("grep orion /etc/passwd; pgrep -fa '[o]rion-agent'")).stdout).toBe('');
  }, 120_000);

  it('is told what to mend when it cannot be a node, and nothing is changed on it', async () => {
    const [, worker] = workers;
    const restore = await givenSshdLine(worker, 'PermitRootLogin no');
    const before = await filesOf(worker);
    const { code, stdout, stderr } = await install(worker, await scriptFrom(apiUrl()), {
      env: { ...settingsOf(worker), ORION_TOKEN: system.joinToken },
    });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(
        /✗ management-login: PermitRootLogin is no [^]*\n {4}\S[^]*orion: this machine cannot be a node as it is, and nothing was changed on it\./,
      ),
    });
    expect(stdout + stderr).not.toContain('✓');
    expect(await filesOf(worker)).toEqual(before);
    expect((await system.nodes()).map(({ hostname }) => hostname)).not.toContain(worker.name);
    await restore();
  }, 120_000);

  it('gets no Node.js from a distribution whose version is too old', async () => {
    const [, worker] = workers;
    const before = await filesOf(worker);
    // Debian 12, as its commands answer there.
    await worker.exec('mkdir -p /run/lab/old && cat >/run/lab/old/apt-get && chmod 755 /run/lab/old/apt-get', {
      input: '#!/bin/sh\necho "apt-get $*" >>/run/lab/apt-calls\n',
    });
    await worker.exec('cat >/run/lab/old/apt-cache && chmod 755 /run/lab/old/apt-cache', {
      input: '#!/bin/sh\nprintf "nodejs:\\n  Installed: (none)\\n  Candidate: 18.20.4+dfsg-1~deb12u1\\n  Version table:\\n"\n',
    });
    await worker.exec('cat >/run/lab/old/node && chmod 755 /run/lab/old/node', {
      input: '#!/bin/sh\n[ "$1" != -e ] || exit 1\necho v18.20.4\n',
    });
    await worker.exec('printf "#!/bin/sh\\necho riscv64\\n" >/run/lab/old/uname && chmod 755 /run/lab/old/uname');
    const env = { ...settingsOf(worker), ORION_TOKEN: system.joinToken, ORION_INSTALL_NODE: 'yes' };
    const { code, stderr } = await install(worker, await scriptFrom(apiUrl()), { env, shell: "sh -c 'PATH=/run/lab/old:$PATH sh'" });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(
        /^orion: Node.js 20 or newer is needed, and this distribution offers 18\.20\.4\S*; nothing was installed\. Install it from https:\/\/nodejs\.org/,
      ),
    });
    expect((await worker.exec('cat /run/lab/apt-calls')).stdout).toBe('apt-get -qq update\n');
    expect(await filesOf(worker)).toEqual(before);
  }, 60_000);

  it('does nothing with a script that was cut off on its way', async () => {
    const [, worker] = workers;
    const before = await filesOf(worker);
    const script = await scriptFrom(apiUrl());
    const lengths = [
      ...Array.from({ length: 30 }, (_, n) => Math.floor((script.length * n) / 30)),
      ...Array.from({ length: 30 }, (_, n) => script.trimEnd().length - 30 + n),
    ];
    const tries = lengths.map(
      (length) =>
        `head -c ${length} /run/lab/cut | ORION_TOKEN=none ${Object.entries(settingsOf(worker))
          .map(([name, value]) => `${name}=${value}`)
          .join(' ')} sh`,
    );
    await worker.exec(`mkdir -p /run/lab && cat >/run/lab/cut; ${tries.join('; ')}`, { input: script, timeoutMs: 120_000 });
    expect(await filesOf(worker)).toEqual(before);
  }, 180_000);
});

describe('a machine that is enrolled over https with a private authority', () => {
  let before: string[];
  const credential = async (): Promise<string> => (await workers[0].exec('sha256sum /var/lib/orion/agent/credential')).stdout;
  const agentPid = async (): Promise<string> => (await workers[0].exec("pgrep -f '^[/]opt/orion-agent/orion-agent'")).stdout;

  it('becomes a node with one command', async () => {
    const [worker] = workers;
    before = await filesOf(worker);
    await worker.exec('mkdir -p /run/lab && cat >/run/lab/ca.pem', { input: ca });
    const env = {
      ...settingsOf(worker),
      ORION_TOKEN: system.joinToken,
      ORION_CA_FILE: '/run/lab/ca.pem',
      ORION_LABELS: 'room=lab-1,rack=2',
    };
    const { code, stdout } = await install(worker, await scriptFrom(caddy.httpsUrl), { env });
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(
        new RegExp(`the agent runs; this machine is enrolled at ${caddy.httpsUrl} and in service \\(heard \\d+ s ago\\)\\n$`),
      ),
    });
    // The installer waited for it.
    expect(await system.node(worker.name)).toMatchObject({ status: 'alive', labels: { 'node/room': 'lab-1', 'node/rack': '2' } });
  }, 240_000);

  it('keeps its settings to root, and its token nowhere', async () => {
    const [worker] = workers;
    expect((await worker.exec('stat -c "%a %n" /etc/orion-agent /etc/orion-agent/*')).stdout).toBe(
      '700 /etc/orion-agent\n644 /etc/orion-agent/ca.pem\n600 /etc/orion-agent/env\n',
    );
    const places = '/etc /opt/orion-agent /usr/local/bin /var/lib/orion /var/log /proc/[0-9]*/environ /proc/[0-9]*/cmdline';
    expect((await worker.exec(`grep -rlasF -f - ${places}`, { input: system.joinToken })).stdout).toBe('');
  });

  it('is brought up to date by the same command, with its credential and settings', async () => {
    const [worker] = workers;
    const [was, pid] = [await credential(), await agentPid()];
    const { code } = await install(worker, await scriptFrom(caddy.httpsUrl));
    expect(code).toBe(0);
    expect(await credential()).toBe(was);
    expect((await agentPid()).trim()).toMatch(/^\d+$/);
    expect(await agentPid()).not.toBe(pid);
    expect((await system.nodes()).map(({ hostname }) => hostname)).toEqual([worker.name]);
    expect((await worker.exec('cat /etc/orion-agent/env')).stdout).toContain('ORION_LABELS=room=lab-1,rack=2\n');
  }, 240_000);

  it('starts an agent again that dies', async () => {
    const [worker] = workers;
    const pid = (await agentPid()).trim();
    await worker.exec(`kill -KILL ${pid}`);
    await eventually(async () => /^\d+$/.test((await agentPid()).trim()) && (await agentPid()).trim() !== pid, {
      what: 'another agent runs',
      timeoutMs: 60_000,
      everyMs: 200,
    });
    // It registers anew, and is verified anew.
    await eventually(async () => (await worker.exec('orion-agent status')).code === 0, {
      what: 'the machine is in service',
      timeoutMs: 60_000,
      everyMs: 200,
    });
  }, 120_000);

  it('shows what the control plane last said of it, and for how long it has been silent', async () => {
    const [worker] = workers;
    const status = async (): Promise<string> => {
      const { code, stdout } = await worker.exec('orion-agent status');
      return `${code} ${stdout.trim()}`;
    };
    const until = (what: RegExp): Promise<unknown> =>
      eventually(async () => what.test(await status()), { what: `the status is ${String(what)}`, timeoutMs: 90_000 });
    await until(/^0 .* in service \(heard \d+ s ago\)$/);

    const sshd = (signal: string): Promise<unknown> => worker.exec(`pkill -${signal} -x sshd`);
    await sshd('STOP');
    await until(
      /^5 the agent runs; .* out of service \(dead\): the control plane cannot log in here over SSH\. "orion nodes" shows why \(heard \d+ s ago\)$/,
    );
    await sshd('CONT');
    await until(/^0 /);

    system.apis[0]?.pause();
    await until(/^4 the agent runs; .* which has not answered for \d+ s and said "alive" before: \S.*\. The agent goes on trying$/);
    system.apis[0]?.resume();
    await until(/^0 /);

    await worker.exec('orion-agent stop');
    expect(await status()).toMatch(/^1 the agent does not run; /);
    await worker.exec('orion-agent start');
    await until(/^0 the agent runs; /);
  }, 300_000);

  it('leaves with one command, and nothing of Orion remains', async () => {
    const [worker] = workers;
    await system.untilFree(1, 120_000);
    expect(await worker.exec('orion-agent doctor')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^✓ root\n[^✗]*✓ control-plane\n/),
    });
    const { code, stdout } = await worker.exec('orion-agent leave', { timeoutMs: 180_000 });
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'nothing of Orion remains on this machine\n' });
    expect(await filesOf(worker)).toEqual(before);
    expect((await worker.exec("grep -E 'orion|orn-' /etc/passwd /etc/shadow /etc/group; pgrep -fa '[o]rion-agent'")).stdout).toBe('');
    expect(await system.node(worker.name)).toMatchObject({ status: 'retired' });
  }, 240_000);
});

describe('a machine for which no self-contained agent was built', () => {
  it('gets the agent that its Node.js runs, and a self-contained one once there is one', async () => {
    const [, worker] = workers;
    const before = await filesOf(worker);
    await worker.exec('mkdir -p /run/lab/odd && printf "#!/bin/sh\\necho riscv64\\n" >/run/lab/odd/uname && chmod 755 /run/lab/odd/uname');
    const env = { ...settingsOf(worker), ORION_TOKEN: system.joinToken };
    const running = async (): Promise<string> =>
      (
        await worker.exec(
          "pgrep -fa '[/]opt/orion-agent/orion-agent' | cut -d' ' -f2-; ls /opt/orion-agent; grep -o ^ORION_NODE /etc/orion-agent/env",
        )
      ).stdout;
    expect(await install(worker, await scriptFrom(apiUrl()), { env, shell: "sh -c 'PATH=/run/lab/odd:$PATH sh'" })).toMatchObject({
      code: 0,
    });
    expect(await running()).toMatch(/^\S*node \/opt\/orion-agent\/orion-agent\.js\norion-agent\.js\nORION_NODE\n$/);
    expect(await install(worker, await scriptFrom(apiUrl()))).toMatchObject({ code: 0 });
    expect(await running()).toBe('/opt/orion-agent/orion-agent\norion-agent\n');
    expect(await worker.exec('orion-agent uninstall')).toMatchObject({ code: 0 });
    expect(await filesOf(worker)).toEqual(before);
  }, 180_000);
});

describe('a machine that is enrolled over http, on a closed network', () => {
  it('is warned, and uninstalling takes the management account away without asking anybody', async () => {
    const [, worker] = workers;
    const before = await filesOf(worker);
    const { code, stdout } = await install(worker, await scriptFrom(apiUrl()), {
      env: { ...settingsOf(worker), ORION_TOKEN: system.joinToken },
    });
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/is not encrypted[^]*is enrolled at http:/) });
    await eventually(async () => (await worker.exec('grep ^orion-mgmt: /etc/passwd')).code === 0, {
      what: 'the management account is there',
      timeoutMs: 30_000,
    });
    expect(await worker.exec('orion-agent uninstall')).toMatchObject({ code: 0, stderr: '' });
    expect(await filesOf(worker)).toEqual(before);
    expect((await worker.exec("grep orion /etc/passwd; pgrep -fa '[o]rion-agent'")).stdout).toBe('');
  }, 180_000);
});
