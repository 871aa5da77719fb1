import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomName } from '../../src/lib/ids';
import { type DockerEngine, eventually, launchScript, openDocker, projectDir, run, runOrThrow } from '../lab';
import { parseWorkers, type WorkerLine } from '../lab/worker-line';
import { useLab } from '../support/hooks';

interface Inspected {
  Size: number;
  Config: { User: string; Env: string[]; Entrypoint: string[]; Labels: Record<string, string>; Healthcheck?: { Test: string[] } };
}

// Starting a container takes seconds where many run.
jest.setTimeout(120_000);

const lab = useLab();
let engine: DockerEngine;
beforeAll(async () => {
  engine = await openDocker(lab);
}, 3_600_000);

const inspect = async (image: string): Promise<Inspected> => {
  const [found] = JSON.parse(await engine.docker('image', 'inspect', image)) as Inspected[];
  return found as Inspected;
};
/** A command in a container of the image's own, without a network. */
const inImage = async (image: string, command: string, options: string[] = []): Promise<string> =>
  (await engine.docker('run', '--rm', '--network', 'none', '--entrypoint', 'sh', ...options, image, '-c', command)).trim();
const manifest = JSON.parse(readFileSync(join(projectDir, 'package.json'), 'utf8')) as Record<
  'dependencies' | 'devDependencies',
  Record<string, string>
>;

describe.each(['orion:local', 'orion-worker:local'])('the image %s', (image) => {
  it('says what it is, how it is and how large', async () => {
    const { Config, Size } = await inspect(image);
    expect(Config.Labels).toMatchObject({
      'org.opencontainers.image.title': image.split(':')[0],
      'org.opencontainers.image.version': 'local',
      'org.opencontainers.image.revision': expect.stringMatching(/^[0-9a-f]{40}$/),
      'org.opencontainers.image.licenses': 'MIT',
    });
    expect(Config.Healthcheck?.Test.length).toBeGreaterThan(1);
    process.stderr.write(`${image}: ${Math.round(Size / 1e6)} MB\n`);
  });

  it('holds no host key, no package list and no cache', async () => {
    expect(
      await inImage(
        image,
        'ls -A /root/.npm /root/.npmrc /run/secrets /etc/ssh/ssh_host_* /var/lib/apt/lists/* /var/cache/apt/* 2>/dev/null || true',
        ['--user', '0'],
      ),
    ).toBe('');
  });
});

describe('the image of the control plane', () => {
  it('runs orion, as a user without rights', async () => {
    const { Config } = await inspect('orion:local');
    expect([Config.User, Config.Entrypoint]).toEqual(['orion:orion', ['orion']]);
    expect(await inImage('orion:local', 'id')).toBe('uid=10001(orion) gid=10001(orion) groups=10001(orion)');
    expect(await inImage('orion:local', 'find /opt/orion /usr/local ! -type l -writable')).toBe('');
    expect(await engine.docker('run', '--rm', '--network', 'none', '--read-only', 'orion:local', '--version')).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it('has what the program needs, Ansible, an SSH client and its native addon among it, and nothing that only developers need', async () => {
    const installed = (await inImage('orion:local', 'cd /opt/orion/node_modules && ls -d * @*/*')).split('\n');
    expect(installed).toEqual(expect.arrayContaining(Object.keys(manifest.dependencies)));
    // Some types come with what the program depends on, and so does yaml (openapi3-ts).
    const forDevelopers = Object.keys(manifest.devDependencies).filter((name) => !name.startsWith('@types/') && name !== 'yaml');
    expect(forDevelopers.filter((name) => installed.includes(name))).toEqual([]);
    expect(await inImage('orion:local', 'ls /opt/orion')).toBe(
      ['bin', 'dist', 'docker', 'installer', 'migrations', 'node_modules', 'package.json', 'playbooks'].join('\n'),
    );
    expect(await inImage('orion:local', 'for name in ansible-playbook ssh sshd npm gcc make; do command -v $name; done; true')).toBe(
      '/usr/bin/ansible-playbook\n/usr/bin/ssh',
    );
    expect(await inImage('orion:local', 'ls /opt/orion/node_modules/ssh2/lib/protocol/crypto/build/Release')).toContain('sshcrypto.node');
  });

  it('takes in no secret that lies beside the sources', async () => {
    const canary = `canary-${randomName(24)}`;
    const image = `orion-canary-${randomName(8)}`;
    const sources = join(lab.dir, 'sources');
    for (const path of [
      'bin',
      'docker',
      'installer',
      'migrations',
      'playbooks',
      'scripts',
      'src',
      'package.json',
      'package-lock.json',
      'tsconfig.json',
      '.dockerignore',
    ]) {
      cpSync(join(projectDir, path), join(sources, path), { recursive: true });
    }
    for (const dir of ['secrets', 'home']) {
      mkdirSync(join(sources, dir));
    }
    for (const file of ['.env', '.npmrc', 'secrets/jwt_key', 'src/secret.pem.test.ts', 'home/.npmrc', 'home/ca.pem']) {
      writeFileSync(join(sources, file), `# ${canary}\n`);
    }
    lab.push('canary image', () => run('docker', ['rmi', '-f', `orion:${image}`], { env: engine.env }).then(() => undefined));
    const env = { ...engine.env, ORION_VERSION: image, HOME: join(sources, 'home'), NODE_EXTRA_CA_CERTS: join(sources, 'home', 'ca.pem') };
    await runOrThrow(join(sources, 'scripts', 'build-images.sh'), ['orion'], { env, timeoutMs: 1_800_000 });
    // Layers are plain tar files: what a file holds is found in them as it stands, as the health check shows.
    const search = 'set -o pipefail; docker save "orion:$1" | grep -aoE -- "An agent listens nowhere|$2" | sort -u';
    expect(await runOrThrow('bash', ['-c', search, '-', image, canary], { env: engine.env, timeoutMs: 300_000 })).toBe(
      'An agent listens nowhere\n',
    );
    expect(await engine.docker('image', 'inspect', `orion:${image}`)).not.toContain(canary);
    expect(await engine.docker('history', '--no-trunc', `orion:${image}`)).not.toContain(canary);
  }, 1_900_000);
});

describe('the image of a worker', () => {
  const project = `orion-image-${randomName(8)}`;
  const token = `orion_join_${randomName(30)}`;
  let env: NodeJS.ProcessEnv;
  let workers: WorkerLine[];
  const call = (...args: string[]): Promise<string> => runOrThrow(launchScript, ['--docker', ...args], { env, timeoutMs: 120_000 });
  const list = async (): Promise<WorkerLine[]> => parseWorkers(await call('--list'));

  beforeAll(async () => {
    env = { ...engine.env, COMPOSE_PROJECT_NAME: project };
    await engine.docker('network', 'create', '--internal', `${project}_workers`);
    lab.push(
      'workers',
      async () => {
        await call('--remove');
        await engine.docker('network', 'rm', `${project}_workers`);
      },
      60_000,
    );
    writeFileSync(join(lab.dir, 'token'), token, { mode: 0o600 });
    workers = parseWorkers(await call('2', '--token-file', join(lab.dir, 'token'), '--labels', 'zone=lab'));
  }, 180_000);

  it('makes a host key of its own, which a restart keeps, together with its files', async () => {
    const [first, second] = workers;
    expect(first).toMatchObject({ name: 'worker-1', port: 22, state: 'running', host_key: expect.stringMatching(/^ssh-ed25519 AAAA/) });
    expect(second?.host_key).not.toBe(first?.host_key);
    await call('--exec', 'worker-1', 'touch', '/root/mine');
    await call('--kill', 'worker-1');
    expect((await list())[0]).toMatchObject({ name: 'worker-1', state: 'stopped', pid: null, host_key: first?.host_key });
    expect(parseWorkers(await call('--start', 'worker-1'))[0]).toMatchObject({ state: 'running', host_key: first?.host_key });
    expect(await call('--exec', 'worker-1', 'ls', '/root')).toBe('mine\n');
  });

  it('is given its join token in a file that root alone reads, and nobody sees it who may ask the engine', async () => {
    expect(await call('--exec', 'worker-1', 'cat', '/etc/orion/join-token')).toBe(token);
    expect(await call('--exec', 'worker-1', 'stat', '-c', '%a %u', '/etc/orion', '/etc/orion/join-token')).toBe('700 0\n600 0\n');
    expect(await engine.docker('inspect', `${project}-worker-1`)).not.toContain(token);
    expect(await call('--exec', 'worker-1', 'sh', '-c', 'cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ | tr "\\0" "\\n"')).not.toContain(
      token,
    );
  });

  it('lets nobody in by password', async () => {
    const offered = await call('--exec', 'worker-1', '/usr/sbin/sshd', '-T');
    expect(offered).toMatch(/^passwordauthentication no$/m);
    expect(offered).toMatch(/^kbdinteractiveauthentication no$/m);
    expect(offered).toMatch(/^permitrootlogin (prohibit-password|without-password)$/m);
  });

  it('starts its agent, sshd and cron again when they die, and ends at once when it is told to', async () => {
    const pids = async (): Promise<string[]> =>
      (await call('--exec', 'worker-2', 'pgrep', '-f', 'orion-agent.js|/usr/sbin/sshd|^cron -f|^crond')).trim().split('\n');
    const before = await eventually(async () => (await pids()).length === 3 && (await pids()), {
      what: 'three services run',
      timeoutMs: 20_000,
    });
    await call('--exec', 'worker-2', 'kill', '-9', ...before);
    await eventually(
      async () => {
        const now = await pids();
        return now.length === 3 && !now.some((pid) => before.includes(pid));
      },
      { what: 'the three are started again', timeoutMs: 30_000 },
    );
    await call('--stop', 'worker-2');
    expect(await engine.docker('inspect', '--format', '{{.State.ExitCode}} {{.State.OOMKilled}}', `${project}-worker-2`)).toBe('0 false\n');
  });

  it('is gone, and its name free, after --remove', async () => {
    await call('--remove');
    expect(await list()).toEqual([]);
  });
});
