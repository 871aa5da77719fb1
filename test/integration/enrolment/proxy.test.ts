import { beforeAll, describe, expect, it } from '@jest/globals';
import { type ConnectProxy, eventually, launchWorkers, type ProxyMood, sshExec, startConnectProxy, type Worker } from '../../lab';
import { throughGateway } from '../../support/gateway-client';
import { useGateway, useSystem } from '../../support/hooks';
import { buildAgent, get, install, makeInstallable } from './support';

/** A name that nobody but the proxy knows: without the proxy the machine cannot call. */
const NAME = 'control.orion.invalid:8080';
const URL_OF_CONTROL = `http://${NAME}`;

describe('a machine that reaches the control plane only through an HTTP proxy', () => {
  beforeAll(buildAgent, 300_000);
  const system = useSystem({ apis: 1, schedulers: 1, gateway: true, env: { ORION_PUBLIC_URL: URL_OF_CONTROL } });
  const gateway = useGateway(system);
  let proxy: ConnectProxy;
  let worker: Worker;

  beforeAll(async () => {
    [worker] = (await launchWorkers(system.lab, 1, { network: 'nat' })).workers as [Worker];
    await makeInstallable(worker);
    // No name server: a name is not found at once.
    await worker.exec('echo nameserver 127.0.0.1 >/etc/resolv.conf');
    const { hostname, port } = new URL(system.apis[0]?.url ?? '');
    proxy = await startConnectProxy(system.lab, {
      host: worker.address.replace(/\d+$/, '254'),
      to: { host: hostname, port: Number(port) },
    });
    proxy.credentials = 'room:lab 1';
  }, 300_000);

  const installWith = async (settings: Record<string, string>): Promise<{ code: number | null; stdout: string; stderr: string }> =>
    install(worker, (await get(`${system.apis[0]?.url ?? ''}/install.sh`)).body, {
      env: {
        MY_HOSTNAME: worker.name,
        MY_ADDRESS: worker.address,
        MY_HOST_PORT: '2222',
        ORION_LOCAL_SSH: '192.168.0.2:2222',
        ORION_TOKEN: system.joinToken,
        ...settings,
      },
    });
  const withLogin = (): string => proxy.url.replace('//', '//room:lab%201@');
  const status = async (): Promise<string> => (await worker.exec('orion-agent status')).stdout;

  it('does without the proxy where no_proxy says so, and is told that the server cannot be found', async () => {
    expect(await installWith({ http_proxy: proxy.url, no_proxy: 'control.orion.invalid' })).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /could not be downloaded, nothing was changed: .*(Name or service not known|failure in name resolution)/,
      ),
    });
    expect(proxy.asked).toEqual([]);
  }, 120_000);

  it('is enrolled through it, and keeps the setting to root', async () => {
    const { code, stdout } = await installWith({ HTTP_PROXY: withLogin(), no_proxy: 'other.example,.local' });
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/in service \(heard \d+ s ago\)\n$/) });
    expect((await worker.exec('stat -c %a /etc/orion-agent/env; grep proxy /etc/orion-agent/env')).stdout).toBe(
      `600\nhttp_proxy=${withLogin()}\nno_proxy=other.example,.local\n`,
    );
    expect(proxy.asked).toContain(`CONNECT ${NAME}`);
    expect(await system.node(worker.name)).toMatchObject({ status: 'alive', reach: 'tunnel' });
  }, 180_000);

  it('is rented, used and released, and every byte of it goes through the proxy', async () => {
    await system.untilFree(1, 60_000);
    const ada = await system.tenant();
    const lease = await ada.rentOne({ seconds: 600 });
    const before = proxy.bytes;
    const { code, stdout } = await sshExec(throughGateway(ada, lease, gateway), 'head -c 3000000 /dev/zero | tr "\\0" x');
    expect({ code, length: stdout.length }).toEqual({ code: 0, length: 3_000_000 });
    expect(proxy.bytes - before).toBeGreaterThan(3_000_000);
    await ada.release(lease.id);
    await system.untilFree(1, 60_000);
  }, 180_000);

  it('comes back when the proxy lost its connections', async () => {
    const asked = proxy.asked.length;
    proxy.cut();
    await eventually(() => proxy.asked.length > asked + 2, { what: 'the machine calls again', timeoutMs: 30_000 });
    await eventually(async () => /in service/.test(await status()), { what: 'it is in service', timeoutMs: 60_000 });
  }, 120_000);

  it('says in its status what is wrong with the proxy, and is in service again once nothing is', async () => {
    const wrong: [ProxyMood, RegExp][] = [
      [
        407,
        /the proxy http:\/\/[\d.]+:\d+: it answered 407 Proxy Authentication Required to CONNECT control\.orion\.invalid:8080\. Give user and password/,
      ],
      [503, /the proxy http:\/\/[\d.]+:\d+: it answered 503 Service Unavailable to CONNECT control\.orion\.invalid:8080/],
      ['silent', /the proxy http:\/\/[\d.]+:\d+: (no answer within \d+ ms|it does not answer within 10 s)/],
    ];
    for (const [mood, reason] of wrong) {
      proxy.mood = mood;
      proxy.cut();
      await eventually(async () => reason.test(await status()), { what: `the status says ${String(reason)}`, timeoutMs: 60_000 });
    }
    expect(await status()).not.toContain('room');
    proxy.mood = 'connects';
    await eventually(async () => /in service/.test(await status()), { what: 'it is in service again', timeoutMs: 90_000 });
  }, 240_000);
});
