import { beforeEach, describe, expect, it } from '@jest/globals';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  breakLog,
  type BrokenLog,
  childCoverageEnv,
  createLab,
  eventually,
  generateSshKeyPair,
  type LabProcess,
  startProcess,
  testConstants,
} from '../../lab';
import { close, useForEach } from '../../support/hooks';
import { agentFile, createFakeControlPlane, heartbeatAnswer } from './fake-control-plane';

/** Puts a full file system of its own where the state directory will be. */
const FULL_STATE = 'mount -t tmpfs -o size=16k none "$1" && { head -c 1m /dev/zero >"$1/ballast" 2>/dev/null || :; } && shift && exec "$@"';

// No account of this machine is touched here (`manageAccounts`).
describe('the agent on a machine whose disk is full', () => {
  const lab = useForEach(createLab, close);
  const control = useForEach(() => createFakeControlPlane(lab));
  let env: Record<string, string>;
  const start = (wrapper: string[], extra: Record<string, string> = {}): LabProcess =>
    startProcess(lab, {
      name: 'agent',
      command: 'env',
      args: [...wrapper, process.execPath, agentFile],
      env: { ...env, ...childCoverageEnv(), ...extra },
    });
  const heartbeats = (count: number): Promise<unknown> =>
    eventually(() => control.of('heartbeat').length >= count, { what: `${count} heartbeats`, timeoutMs: 15_000 });

  beforeEach(async () => {
    await control.open();
    const { keyFile } = await generateSshKeyPair(lab.dir);
    env = {
      API_ENDPOINT: control.endpoint,
      ORION_JOIN_TOKEN: `orion_join_${'T'.repeat(43)}`,
      ORION_CONTROL_FINGERPRINT: control.fingerprint,
      ...testConstants({ manageAccounts: false, stateDir: join(lab.dir, 'state') }),
      ORION_HOST_KEY_FILE: `${keyFile}.pub`,
      ORION_TUNNEL: 'false',
      MY_HOST_PORT: '127.0.10.9:2222',
    };
  });

  it.each<[BrokenLog]>([['full disk'], ['/dev/full'], ['unread pipe'], ['closed pipe'], ['stopped terminal']])(
    'calls home although its log cannot be written: %s',
    async (log) => {
      const agent = start(breakLog(lab, log).command, { LOG_LEVEL: 'debug' });
      // Each change of the status is a line.
      control.once('heartbeat', ...['suspect', 'alive', 'suspect', 'alive'].map((status) => heartbeatAnswer({ status })));
      await heartbeats(6);
      expect(agent.running()).toBe(true);
    },
    30_000,
  );

  it('enrols with a full state directory, uses up no second join token, and keeps its credential as soon as there is room', async () => {
    const disk = mkdtempSync(join(lab.dir, 'state-'));
    const constants = testConstants({ manageAccounts: false, stateDir: join(disk, 'orion') });
    const agent = start(['unshare', '--mount', 'sh', '-c', FULL_STATE, 'sh', disk], constants);
    await heartbeats(3);
    expect(control.of('register')).toHaveLength(1);
    expect(control.of('heartbeat').at(-1)?.by).toBe('first');

    const seen = `/proc/${agent.pid}/root${disk}`;
    const credential = join(seen, 'orion', 'agent', 'credential');
    expect(existsSync(credential) && readFileSync(credential, 'utf8')).toBeFalsy();
    rmSync(join(seen, 'ballast'));
    await eventually(() => existsSync(credential) && readFileSync(credential, 'utf8').startsWith('orion_node_'), {
      what: 'the credential is on the disk',
    });
  }, 30_000);
});
