import { beforeEach, describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { childCoverageEnv, createLab, eventually, generateSshKeyPair, type LabProcess, run, startProcess, testConstants } from '../../lab';
import { sha256 } from '../../../src/lib/ids';
import { close, useForEach } from '../../support/hooks';
import { agentFile, createFakeControlPlane, heartbeatAnswer, problem } from './fake-control-plane';

// No account of this machine is touched here (`manageAccounts`); node.test.ts does that inside a worker.
const TOKEN = `orion_join_${'T'.repeat(43)}`;

describe('the agent on the wire', () => {
  const lab = useForEach(createLab, close);
  const control = useForEach(() => createFakeControlPlane(lab));
  let env: Record<string, string>;
  let hostKey: string;
  const credentialFile = (): string => join(lab.dir, 'state', 'agent', 'credential');
  const hostKeyFile = (): string => env['ORION_HOST_KEY_FILE'] ?? '';
  const start = (extra: Record<string, string> = {}): LabProcess =>
    startProcess(lab, { name: 'agent', command: process.execPath, args: [agentFile], env: { ...env, ...childCoverageEnv(), ...extra } });
  const heartbeats = (count: number, timeoutMs = 10_000): Promise<unknown> =>
    eventually(() => control.of('heartbeat').length >= count, { what: `${count} heartbeats`, timeoutMs });

  beforeEach(async () => {
    const { publicKey, keyFile } = await generateSshKeyPair(lab.dir);
    const [type = '', blob = ''] = publicKey.split(' ');
    hostKey = `${type} ${blob}`;
    env = {
      API_ENDPOINT: control.endpoint,
      ...testConstants({ manageAccounts: false, stateDir: join(lab.dir, 'state') }),
      ORION_HOST_KEY_FILE: `${keyFile}.pub`,
      ORION_CONTROL_FINGERPRINT: control.fingerprint,
      MY_HOSTNAME: 'worker-9',
      MY_HOST_PORT: '127.0.10.9:2222',
    };
  });

  it('says who it is and what it has', async () => {
    await control.open();
    const constants = testConstants({ manageAccounts: false, stateDir: join(lab.dir, 'state'), cpus: 7, memoryMb: 512 });
    start({ ORION_JOIN_TOKEN: TOKEN, ORION_LABELS: 'zone=a', ...constants });
    await heartbeats(1);
    const [register] = control.of('register');
    expect(register).toMatchObject({ by: undefined, proved: true, token: sha256(TOKEN) });
    expect(JSON.stringify(register)).not.toContain(TOKEN);
    expect(register?.body).toMatchObject({
      hostname: 'worker-9',
      ssh_port: 2222,
      address: '127.0.10.9',
      host_key: hostKey,
      labels: { zone: 'a' },
      facts: {
        cpus: 7,
        memory_mb: 512,
        disk_mb: expect.any(Number),
        os: expect.any(String),
        agent_version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      },
    });
    expect(control.of('heartbeat')[0]).toMatchObject({
      by: 'first',
      body: { load1: expect.any(Number), memory_free_mb: expect.any(Number), accounts: [], ended_accounts: [], ssh_port: 2222 },
    });
  });

  it('waits for a control plane that is not there yet', async () => {
    const agent = start();
    await eventually(() => agent.log().includes('out of reach'), { what: 'a failed attempt' });
    await control.open();
    await heartbeats(1);
  });

  it('keeps its credential for root alone and shows it again after a restart', async () => {
    await control.open();
    const agent = start();
    await heartbeats(1);
    expect(statSync(credentialFile()).mode & 0o777).toBe(0o600);
    expect(await agent.stop()).toEqual({ code: 0, signal: null });
    const before = control.calls.length;
    start();
    await eventually(() => control.calls.length >= before + 2, { what: 'two more calls' });
    expect(control.calls.slice(before).map((call) => [call.path, call.by])).toEqual([
      ['register', 'first'],
      ['heartbeat', 'first'],
    ]);
    expect(agent.log()).not.toContain(readFileSync(credentialFile(), 'utf8').trim());
  });

  it('registers again when its credential is refused', async () => {
    await control.open();
    start({ ORION_JOIN_TOKEN: TOKEN });
    await heartbeats(1);
    const before = readFileSync(credentialFile(), 'utf8');
    control.once('heartbeat', problem(401, { code: 'unauthenticated', detail: 'unknown credential' }));
    await eventually(() => control.of('heartbeat').some((call) => call.by === 'second'), { what: 'the new credential' });
    expect(control.of('register')[1]).toMatchObject({ by: undefined, token: sha256(TOKEN) });
    expect(readFileSync(credentialFile(), 'utf8')).not.toBe(before);
  });

  it('speaks https with a control plane that an extra CA vouches for, and with no other', async () => {
    const [keyFile, certFile] = [join(lab.dir, 'tls.key'), join(lab.dir, 'tls.crt')];
    const subject = ['-subj', '/CN=control', '-addext', 'subjectAltName=IP:127.0.0.1'];
    await run('openssl', ['req', '-x509', '-newkey', 'ed25519', '-nodes', '-days', '2', '-keyout', keyFile, '-out', certFile, ...subject]);
    const secure = await createFakeControlPlane(lab, { key: readFileSync(keyFile), cert: readFileSync(certFile) });
    await secure.open();
    const distrusting = start({ API_ENDPOINT: secure.endpoint, ORION_CONTROL_FINGERPRINT: '' });
    await eventually(() => distrusting.log().includes('self-signed certificate'), { what: 'the refusal' });
    expect(secure.calls).toEqual([]);
    await distrusting.stop();
    start({ API_ENDPOINT: secure.endpoint, ORION_CA_FILE: certFile, ORION_CONTROL_FINGERPRINT: '' });
    await eventually(() => secure.of('heartbeat').length > 0, { what: 'a heartbeat' });
  });

  it('goes on, and says what to do, when it is not admitted', async () => {
    await control.open();
    control.reply('register', problem(403, { code: 'forbidden', detail: 'the join token is used up' }));
    const agent = start();
    await eventually(() => agent.log().includes('give it a fresh join token'), { what: 'the advice' });
    expect(agent.log()).toContain('the join token is used up');
    expect(agent.running()).toBe(true);
  });

  it('registers anew, with proof of it, when its host key has changed', async () => {
    await control.open();
    start();
    await heartbeats(1);
    const { publicKey } = await generateSshKeyPair(join(lab.dir, 'next'));
    await run('sh', [
      '-c',
      `mv ${join(lab.dir, 'next')}/id_ed25519_*[0-9] ${hostKeyFile().replace('.pub', '')} && mv ${join(lab.dir, 'next')}/*.pub ${hostKeyFile()}`,
    ]);
    await eventually(() => control.of('register').length > 1, { what: 'another registration' });
    expect(control.of('register')[1]).toMatchObject({
      by: 'first',
      proved: true,
      body: { host_key: publicKey.split(' ').slice(0, 2).join(' ') },
    });
  });

  it('enrols nowhere over plain http when nothing says whom to trust', async () => {
    await control.open();
    const agent = start({ ORION_CONTROL_FINGERPRINT: '' });
    await eventually(() => agent.log().includes('set ORION_CONTROL_FINGERPRINT'), { what: 'the advice' });
    expect(control.calls).toEqual([]);
  });

  it('stops with success when the node was retired', async () => {
    await control.open();
    const agent = start();
    await heartbeats(1);
    control.reply('heartbeat', problem(410, { code: 'node_retired', detail: 'by an operator' }));
    expect(await agent.exited).toEqual({ code: 0, signal: null });
  });

  it('calls at the interval it is told, within a tenth, one call at a time', async () => {
    await control.open();
    start();
    await heartbeats(9);
    const gaps = control.of('heartbeat').map((call, index, all) => call.atMs - (all[index - 1]?.atMs ?? call.atMs));
    // The upper bound leaves room for a busy machine; the lower one is the agent's promise.
    expect(Math.min(...gaps.slice(1))).toBeGreaterThanOrEqual(265);
    expect(gaps.slice(1).sort((a, b) => a - b)[4]).toBeLessThan(450);
    control.reply('heartbeat', heartbeatAnswer({ heartbeat_interval_seconds: 3600 }));
    const before = control.calls.length;
    await eventually(() => control.calls.length > before, { what: 'the call that learns of the longer interval' });
    const calls = control.calls.length;
    await expect(eventually(() => control.calls.length > calls, { what: 'another call', timeoutMs: 1500 })).rejects.toThrow('not within');
  }, 20_000);

  it('honours Retry-After', async () => {
    await control.open();
    control.once('register', problem(503, { code: 'unavailable', detail: 'starting' }, { 'retry-after': '3' }));
    start();
    await heartbeats(1);
    const [first, second] = control.of('register');
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(2990);
  });

  it('survives garbage, a body without end, a redirect and silence, and stays small', async () => {
    await control.open();
    const elsewhere = await createFakeControlPlane(lab);
    await elsewhere.open();
    control.once(
      'register',
      (response) => response.end('{"node_id": 1, "sta'),
      (response) => {
        const block = Buffer.alloc(1024 * 1024, 'x');
        const pump = (left: number): void => {
          if (left > 0 && !response.destroyed) {
            response.write(block, () => pump(left - 1));
          }
        };
        pump(100);
      },
      problem(307, {}, { location: `${elsewhere.endpoint}/api/workers/register` }),
      () => undefined,
    );
    const agent = start();
    await heartbeats(1, 40_000);
    for (const reason of ['not a JSON object', 'larger than', 'redirected to', 'no answer within']) {
      expect(agent.log()).toContain(reason);
    }
    expect(elsewhere.calls).toEqual([]);
    expect(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${agent.pid}/status`, 'utf8'))?.[1])).toBeLessThan(80 * 1024);
  }, 60_000);

  it('ends at the first signal even while it waits, and leaves its state for the next start', async () => {
    control.reply('register', () => undefined);
    await control.open();
    const agent = start();
    await eventually(() => control.calls.length > 0, { what: 'the first call' });
    expect(await agent.stop(3000)).toEqual({ code: 0, signal: null });
  });

  it('lists every fault of its settings and ends', async () => {
    const { code, stderr } = await run(process.execPath, [agentFile], { env: { MY_HOST_PORT: 'x', LOG_LEVEL: 'loud' } });
    expect(code).toBe(1);
    for (const name of ['API_ENDPOINT', 'MY_HOST_PORT', 'LOG_LEVEL']) {
      expect(stderr).toContain(`${name}:`);
    }
  });

  it('leaves when the control plane has let it go, and ends the agent that runs beside', async () => {
    await control.open();
    const agent = start();
    await heartbeats(1);
    control.once('leave', { left: false, status: 'draining', detail: 'one lease is being moved' }, problem(503));
    const { code, stderr } = await run(process.execPath, [agentFile, 'leave'], { env });
    expect(code).toBe(0);
    expect(stderr).toContain('one lease is being moved');
    expect(control.of('leave').map((call) => call.by)).toEqual(Array(3).fill('first'));
    expect(await agent.exited).toEqual({ code: 0, signal: null });
    expect(existsSync(credentialFile())).toBe(false);
    expect(control.of('register')).toHaveLength(1);
  }, 20_000);
});
