import { beforeAll, describe, expect, it } from '@jest/globals';
import { type Container, eventually, openDocker, type RunResult, run, type Stack, startStack } from '../lab';
import { useLab } from '../support/hooks';
import { logInAsOperator, untilFree } from './support/people';

/** What each service can read of the secrets, and no more. */
const SECRETS: Record<string, string[]> = {
  db: ['db_ca', 'db_cert', 'db_key', 'db_password_migrate', 'db_root_password', 'db_users'],
  api: [
    'control_key',
    'control_old_keys',
    'db_ca',
    'db_password_api',
    'gateway_host_key_pub',
    'gateway_key_pub',
    'jwt_extra_keys',
    'jwt_key',
    'ssh_key',
  ],
  scheduler: ['audit_key', 'checkpoint_key', 'db_ca', 'db_password_scheduler', 'gateway_key_pub', 'ssh_key'],
  gateway: ['db_ca', 'db_password_gateway', 'gateway_host_key', 'gateway_key', 'gateway_key_pub'],
  autoscaler: ['db_ca', 'db_password_autoscaler'],
  'scale-driver': [],
  caddy: [],
};

/** Bits of capabilities(7). */
const NET_BIND_SERVICE = 1n << 10n;
const NET_RAW = 1n << 13n;
const SYS_ADMIN = 1n << 21n;

const lab = useLab();
let stack: Stack;
beforeAll(async () => {
  stack = await startStack(lab, {
    engine: await openDocker(lab),
    settings: { ORION_SCALE_DRY_RUN: 'true', ORION_PROBE_INTERVAL_SECONDS: '2' },
    scale: { api: 1, scheduler: 1 },
  });
  const operator = await logInAsOperator(stack);
  await stack.workers('1');
  await untilFree(operator, 1);
}, 600_000);

const one = async (service: string): Promise<Container> => {
  const [container] = (await stack.containers(service)).filter(({ running }) => running);
  if (!container) {
    throw new Error(`no ${service} runs`);
  }
  return container;
};
const within = async (service: string, ...command: string[]): Promise<RunResult> =>
  run('docker', ['exec', (await one(service)).id, ...command], { env: stack.env });
const addressesOf = async (service: string): Promise<string[]> =>
  (await stack.docker('inspect', '--format', '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}', (await one(service)).id))
    .trim()
    .split(' ');

/** Of process 1, from /proc/1/status. */
const limitsOf = (status: string): { rights: bigint; noNewPrivileges: boolean } => ({
  rights: BigInt(`0x${/^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? ''}`),
  noNewPrivileges: /^NoNewPrivs:\s*1$/m.test(status),
});

describe('a machine that people rent beside the control plane', () => {
  const connects = async (target: string): Promise<boolean> => {
    const script = `const s = require('net').connect(${target}); const end = (code) => () => process.exit(code); s.on('connect', end(0)).on('error', end(1)); setTimeout(end(1), 2000)`;
    return (await stack.look('worker-1', `node -e "${script}"`)).code === 0;
  };

  it('reaches Caddy, and neither the database nor a port of any role, by name or by address', async () => {
    expect(await connects("80, 'caddy'")).toBe(true);
    const targets = [...['db', 'api', 'scheduler', 'gateway'].map((name) => `22, '${name}'`)];
    for (const [service, ports] of Object.entries({
      db: [3306],
      api: [3000, 3001, 9464],
      scheduler: [9464],
      gateway: [2222, 9464],
      autoscaler: [9464],
      'scale-driver': [9466],
    })) {
      targets.push(...(await addressesOf(service)).flatMap((address) => ports.map((port) => `${port}, '${address}'`)));
    }
    const reached = await Promise.all(targets.map(async (target) => [target, await connects(target)]));
    expect(reached.filter(([, yes]) => yes)).toEqual([]);
    expect(reached.length).toBeGreaterThan(12);
  }, 120_000);

  it('is reached through its tunnel, and can forge no packets', async () => {
    const status = await stack.look('worker-1', 'cat /proc/1/status');
    expect(limitsOf(status.stdout).rights & (NET_RAW | SYS_ADMIN)).toBe(0n);
    const tunnels = await within(
      'db',
      'sh',
      '-c',
      'mariadb -u root -p"$(cat /run/secrets/db_root_password)" -N -e "SELECT reach FROM orion.nodes"',
    );
    expect(tunnels.stdout.trim()).toBe('tunnel');
  });
});

describe('each service of the control plane', () => {
  it.each(Object.keys(SECRETS))(
    "%s reads its own secrets, has none of root's rights and writes nowhere but in its volumes",
    async (service) => {
      const listed = await within(service, 'sh', '-c', 'ls /run/secrets 2>/dev/null');
      expect(
        listed.stdout
          .split('\n')
          .filter((name) => name !== '')
          .toSorted(),
      ).toEqual(SECRETS[service]);
      const { rights, noNewPrivileges } = limitsOf((await within(service, 'cat', '/proc/1/status')).stdout);
      expect([rights, noNewPrivileges]).toEqual([service === 'caddy' ? NET_BIND_SERVICE : 0n, true]);
      expect((await within(service, 'sh', '-c', 'touch /usr/probe')).stderr).toContain('Read-only file system');
    },
  );

  it('is a user of its own in the database, over TLS', async () => {
    const ask = async (statement: string): Promise<string[]> =>
      (await within('db', 'sh', '-c', `mariadb -u root -p"$(cat /run/secrets/db_root_password)" -N -e '${statement}'`)).stdout
        .trim()
        .split('\n');
    expect(await ask('SELECT user FROM mysql.user WHERE host <> "localhost" ORDER BY user')).toEqual([
      'orion_api',
      'orion_autoscaler',
      'orion_gateway',
      'orion_migrate',
      'orion_scheduler',
    ]);
    const connected = (): Promise<string[]> =>
      ask(
        'SELECT DISTINCT user FROM information_schema.processlist WHERE user LIKE "orion%" AND user NOT IN ("orion_autoscaler", "orion_gateway") ORDER BY user',
      );
    await eventually(async () => (await connected()).join() === 'orion_api,orion_scheduler', {
      what: 'both are connected',
      timeoutMs: 30_000,
    });
    const logIn = (options: string): Promise<RunResult> =>
      within(
        'db',
        'sh',
        '-c',
        `mariadb -h localhost --protocol=tcp -u orion_migrate -p"$(cat /run/secrets/db_password_migrate)" ${options} -N -e "SHOW STATUS LIKE 'Ssl_version'"`,
      );
    expect((await logIn('--skip-ssl')).stderr).toContain('Access denied');
    expect((await logIn('--ssl-ca=/run/secrets/db_ca --ssl-verify-server-cert')).stdout).toContain('TLSv1.3');
  }, 60_000);
});
