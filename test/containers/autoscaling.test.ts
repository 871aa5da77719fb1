import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { type Container, eventually, openDocker, run, type Stack, startStack, testConstants } from '../lab';
import { useLab } from '../support/hooks';
import { type Load, startLoad } from './support/load';
import { countServed, signUp } from './support/people';

/** The defaults stand beside them. */
const SETTINGS = {
  ORION_SCALE_API_MAX: '3', // 4
  ORION_SCALE_TARGET_PERCENT: '30', // 60: the load, the proxy and the database share two cores with the replicas
  // 5, 60, 15
  ...testConstants({ scaleIntervalSeconds: 2, scaleStabilisationSeconds: 10, scaleCooldownSeconds: 4 }),
};

// Commands in containers take seconds where many run.
jest.setTimeout(60_000);

const lab = useLab();
let stack: Stack;
let token: string;

beforeAll(async () => {
  stack = await startStack(lab, { engine: await openDocker(lab), settings: SETTINGS, scale: { api: 1, scheduler: 1 } });
  ({ token } = await signUp(lab, stack, 'ada'));
}, 600_000);

const running = async (): Promise<Container[]> => (await stack.containers('api')).filter((container) => container.running);

const load = (options: { width: number; pauseMs?: number }): Load =>
  startLoad({
    url: stack.httpsUrl,
    ca: readFileSync(stack.caFile, 'utf8'),
    requests: [{ method: 'GET', path: '/api/me', token }],
    ...options,
  });

describe('the autoscaler', () => {
  it('R31: real load brings a second API within a minute, which then serves; after the load it goes, and no request fails', async () => {
    const [first] = await running();
    const heavy = load({ width: 24 });
    const grown = await eventually(
      async () => {
        const apis = await running();
        return apis.length > 1 && apis.every(({ health }) => health === 'healthy') ? apis : undefined;
      },
      { what: 'a second API is there', timeoutMs: 60_000, everyMs: 500 },
    );
    const second = grown.find(({ id }) => id !== first?.id) as Container;
    await eventually(async () => (await countServed(second, '/api/me')) > 20, { what: 'it serves', timeoutMs: 20_000, everyMs: 200 });
    expect(second.labels).toMatchObject({ 'com.docker.compose.service': 'api', 'com.docker.compose.project': stack.project });
    expect((await heavy.stop()).failures).toEqual([]);

    const light = load({ width: 2, pauseMs: 100 });
    const left = await eventually(
      async () => {
        const apis = await stack.containers('api');
        return apis.length === 1 ? apis : undefined;
      },
      { what: 'one API is left', timeoutMs: 180_000, everyMs: 500 },
    );
    const report = await light.stop();
    expect(report.failures).toEqual([]);
    expect(left.map(({ id }) => id)).toEqual([first?.id]);
  }, 300_000);

  it('R31: it never goes below one, and keeps its word about what it did', async () => {
    const [autoscaler] = await stack.containers('autoscaler');
    const [driver] = await stack.containers('scale-driver');
    const logOf = (container?: Container): ReturnType<typeof run> => run('docker', ['logs', container?.id ?? ''], { env: stack.env });
    const [{ stderr: decided }, { stderr: done }] = [await logOf(autoscaler), await logOf(driver)];
    expect(await running()).toHaveLength(1);
    expect(done).toContain('"project":"' + stack.project);
    expect(done).toContain('"message":"service scaled"');
    expect(decided + done).not.toContain('"level":"error"');
  });
});

describe('A9: in a real stack', () => {
  interface Inspected {
    Config: { Env: string[] };
    HostConfig: { GroupAdd: string[] | null };
    Mounts: { Source: string; Destination: string }[];
    NetworkSettings: { Networks: Record<string, unknown> };
  }

  interface Network {
    Internal: boolean;
    Containers: Record<string, unknown>;
  }

  const inspect = async (service: string): Promise<Inspected> => {
    const [container] = await stack.containers(service);
    expect(container?.health).toBe('healthy');
    const [found] = JSON.parse(await stack.docker('inspect', container?.id ?? '')) as Inspected[];
    return found as Inspected;
  };
  const shell = async (service: string, command: string): Promise<string> => {
    const [container] = await stack.containers(service);
    return (await run('docker', ['exec', container?.id ?? '', 'sh', '-c', command], { env: stack.env })).stdout.trim();
  };
  const networksOf = ({ NetworkSettings }: Inspected): string[] => Object.keys(NetworkSettings.Networks).toSorted();

  it('the autoscaler has no Docker socket', async () => {
    const autoscaler = await inspect('autoscaler');
    expect(autoscaler.Mounts.map(({ Destination }) => Destination).toSorted()).toEqual([
      '/run/secrets/db_ca',
      '/run/secrets/db_password_autoscaler',
    ]);
    expect(autoscaler.Mounts.map(({ Source }) => Source).join()).not.toContain('docker.sock');
    expect(autoscaler.HostConfig.GroupAdd ?? []).toEqual([]);
    expect(networksOf(autoscaler)).toEqual([`${stack.project}_inside`, `${stack.project}_scaling`]);
    expect(await shell('autoscaler', 'find / -xdev -type s 2>/dev/null')).toBe('');
  });

  it('the scale driver has the Docker socket, no secret, and only the network scaling', async () => {
    const driver = await inspect('scale-driver');
    expect(driver.Mounts.map(({ Destination }) => Destination)).toEqual(['/var/run/docker.sock']);
    expect(networksOf(driver)).toEqual([`${stack.project}_scaling`]);
    expect(driver.Config.Env.filter((line) => /PASSWORD|KEY|SECRET|TOKEN|ORION_DB_/.test(line))).toEqual([]);
    expect(await shell('scale-driver', 'ls /run/secrets 2>/dev/null')).toBe('');
    for (const [service, port] of [
      ['db', 3306],
      ['api', 3000],
      ['caddy', 80],
    ] as const) {
      const [target] = await stack.containers(service);
      const connect = `timeout 3 bash -c 'echo >/dev/tcp/${target?.address ?? ''}/${port}' 2>/dev/null; echo "ended with $?"`;
      expect(await shell('scale-driver', connect)).toMatch(/^ended with (1|124)$/);
    }
    const [network] = JSON.parse(await stack.docker('network', 'inspect', `${stack.project}_scaling`)) as Network[];
    const members = await Promise.all(['autoscaler', 'scale-driver'].map((service) => stack.containers(service)));
    expect(network?.Internal).toBe(true);
    expect(Object.keys(network?.Containers ?? {}).toSorted()).toEqual(
      members
        .flat()
        .map(({ id }) => id)
        .toSorted(),
    );
  });

  it('no other container has the socket or is in the network of the scale driver', async () => {
    for (const service of ['api', 'scheduler', 'gateway', 'db', 'caddy']) {
      const [container] = await stack.containers(service);
      const [found] = JSON.parse(await stack.docker('inspect', container?.id ?? '')) as Inspected[];
      const hasSocket = found?.Mounts.some(({ Source }) => Source.endsWith('docker.sock'));
      expect([service, hasSocket, networksOf(found as Inspected).includes(`${stack.project}_scaling`)]).toEqual([service, false, false]);
    }
  });

  it("the scale driver takes nothing from the autoscaler's container but steps within the bounds", async () => {
    const send = (method: string, path: string, body = ''): Promise<string> => {
      const options = JSON.stringify({ method, ...(body === '' ? {} : { body, headers: { 'Content-Type': 'application/json' } }) });
      const script = `fetch("http://scale-driver:9466${path}", ${options}).then((answer) => console.log(answer.status))`;
      return shell('autoscaler', `node -e '${script}'`);
    };
    expect(await send('GET', '/services/api')).toBe('200');
    expect(await send('GET', '/containers/json')).toBe('404');
    expect(await send('POST', '/containers/create', '{"Image":"orion:local","HostConfig":{"Binds":["/:/host"]}}')).toBe('404');
    expect(await send('POST', '/services/db/scale', '{"from":1,"to":2}')).toBe('404');
    expect(await send('POST', '/services/api/scale', '{"from":1,"to":0}')).toBe('422');
    expect(await send('POST', '/services/api/scale', '{"from":3,"to":4}')).toBe('422');
    expect(await running()).toHaveLength(1);
  });
});
