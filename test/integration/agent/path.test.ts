import { beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { signText } from '../../../src/flows/enrolment/management-statement';
import { inside } from '../../e2e/support/inside';
import { eventually, generateSshKeyPair, sshExec, type Worker } from '../../lab';
import { useForAll, useSystem } from '../../support/hooks';
import { addManagementKey, ask, type PassedAnswer, type PassedRequest, startOnPath } from '../../support/on-path';
import { fastConstants } from '../../support/system';
import { agentFile, aControlKey } from './fake-control-plane';

const AUTHORIZED = '/var/lib/orion/mgmt/.ssh/authorized_keys';

/** Real agents on real machines, over plain http, with somebody between them and a real control plane. */
describe('whoever is on the path of plain http', () => {
  const system = useSystem({
    apis: 1,
    schedulers: 1,
    env: fastConstants({ heartbeatIntervalSeconds: 0.3, overdueIntervals: 17, heartbeatIdleSeconds: 0.3 }),
  });
  const path = useForAll(() => startOnPath(system.lab, system.apis[0]?.url ?? ''));
  const own = useForAll(() => generateSshKeyPair(system.lab.dir, 'on the path'));
  const worker = useForAll(async () => (await system.launchWorkers(1, { endpoint: path.url })).workers[0] as Worker);
  beforeAll(() => system.untilFree(1, 120_000), 200_000);

  const logOf = ({ logs }: Worker): string => readFileSync(join(logs, 'agent.log'), 'utf8');
  const login = async (to: Worker, user: string): Promise<number | null> =>
    (await sshExec({ ...to, user, keyFile: own.keyFile }, 'id -u')).code;
  const blob = (): string => own.publicKey.split(' ')[1] ?? '';
  const untilChanged = (more: number): Promise<unknown> => {
    const before = path.changed();
    return eventually(() => path.changed() >= before + more, { what: `${more} changed answers`, timeoutMs: 60_000 });
  };
  /** Signed by a control key of the attacker's own. */
  const addByOwnKey = (): ((answer: PassedAnswer) => PassedAnswer) => {
    const key = aControlKey();
    return (answer) => {
      const added = addManagementKey(path, own.publicKey)(answer);
      const body = JSON.parse(added.text || '{}') as { management?: { statement: { text: string } } };
      const { management } = body;
      if (!management) {
        return added;
      }
      return {
        ...added,
        text: JSON.stringify({
          ...body,
          management: { ...management, control_key: key.publicKey, statement: signText(key, 'management v1', management.statement.text) },
        }),
      };
    };
  };

  it('hears no credential and no token, and nothing that is any good a second time', async () => {
    const credential = await inside(worker, 'cat /var/lib/orion/agent/credential');
    const secret = system.joinToken.slice(0, 'orion_join_'.length + 43);
    const recorded = (name: string): PassedRequest[] => path.requests.filter((each) => each.path === `/api/workers/${name}`);
    await eventually(() => recorded('heartbeat').length > 2 && recorded('tunnel').length > 0, {
      what: 'heartbeats and a tunnel',
      timeoutMs: 30_000,
    });
    expect(credential).toMatch(/^orion_node_[\w-]{43}$/);
    for (const hidden of [credential, credential.replace('orion_node_', ''), secret, secret.replace('orion_join_', '')]) {
      expect(path.recording()).not.toContain(hidden);
    }
    const nodes = (): Promise<unknown[]> => system.sql('SELECT id, hostname, address, host_key, credential_hash FROM nodes');
    const before = await nodes();
    const target = system.apis[0]?.url ?? '';
    for (const request of [...recorded('register'), ...recorded('tunnel')]) {
      expect((await ask(target, request)).status).toBe(409);
    }
    expect(await nodes()).toEqual(before);
  }, 60_000);

  it.each([
    ['adds a key', () => addManagementKey(path, own.publicKey)],
    ['adds a key and signs it', addByOwnKey],
  ])(
    'who %s to the answers of heartbeats gets onto no machine',
    async (_what, changeBy) => {
      const before = await inside(worker, `cat ${AUTHORIZED}`);
      path.change(changeBy());
      await untilChanged(8);
      expect(await inside(worker, `cat ${AUTHORIZED}`)).toBe(before);
      expect([await login(worker, 'orion-mgmt'), await login(worker, 'root')]).toEqual([255, 255]);
      expect(logOf(worker)).toContain("does not come from this node's control plane");
      path.change((answer) => answer);
      await eventually(async () => (await system.node(worker.name)).status === 'alive', { what: 'the node goes on', timeoutMs: 60_000 });
    },
    120_000,
  );

  it.each([
    ['adds a key', () => addManagementKey(path, own.publicKey)],
    ['adds a key and signs it', addByOwnKey],
  ])(
    'who %s to the answer of a registration enrols a machine nowhere',
    async (_what, changeBy) => {
      path.change(changeBy());
      const [fresh] = (await system.launchWorkers(1, { endpoint: path.url })).workers as [Worker];
      await untilChanged(2);
      expect(await inside(fresh, 'getent passwd orion-mgmt; find /var/lib/orion -name credential -o -name authorized_keys; true')).toBe('');
      expect(logOf(fresh)).toMatch(/was changed on its way|this machine trusts|the signature is not by the control key/);
      expect(logOf(fresh)).not.toContain(blob());
      path.change((answer) => answer);
      await eventually(async () => (await inside(fresh, `cat ${AUTHORIZED} || true`)) !== '', {
        what: 'it enrols when it is left alone',
        timeoutMs: 60_000,
      });
      expect(await inside(fresh, `cat ${AUTHORIZED}`)).not.toContain(blob());
    },
    120_000,
  );

  it('who tells a machine that it is retired, or that nobody has a lease there, is not believed', async () => {
    path.change((answer, { path: asked }) =>
      asked.endsWith('/heartbeat') ? { ...answer, status: 410, text: '{"code":"node_retired"}' } : answer,
    );
    await untilChanged(5);
    expect(await inside(worker, 'getent passwd orion-mgmt | cut -d: -f1')).toBe('orion-mgmt');
    expect(logOf(worker)).not.toContain('was retired');
    path.change((answer) => answer);
  }, 60_000);

  it('who records an order to leave cannot give it again', async () => {
    await system.untilFree(1, 120_000);
    const { code } = await worker.exec(`env $(cat /etc/orion/agent.env) '${process.execPath}' '${agentFile}' leave`);
    expect(code).toBe(0);
    const asked = path.requests.filter((each) => each.path === '/api/workers/leave');
    for (const request of asked) {
      expect([409, 410]).toContain((await ask(system.apis[0]?.url ?? '', request)).status);
    }
    expect(asked).not.toEqual([]);
  }, 60_000);
});
