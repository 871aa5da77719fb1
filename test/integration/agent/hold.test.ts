import { beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, generateSshKeyPair, launchWorkers, sshExec, type SshTarget, testConstants, type Worker } from '../../lab';
import { useForAll, useLab } from '../../support/hooks';
import { createFakeControlPlane, heartbeatAnswer, registration } from './fake-control-plane';

const LIMIT_SECONDS = 4;
const USER = 'orn-a';
const UID = 20_001;
const TEST_MS = 180_000;
const WAIT_MS = 60_000;

/** Its pid and a number, over and over. */
const JOB = 'i=0; while :; do i=$((i + 1)); echo $$ $i; sleep 0.1; done >> job.log';
/** What a tenant may try against being stopped: to wake everything, and to stop whoever stops. */
const FIGHT = 'for signal in CONT STOP; do (while :; do kill -$signal -1; sleep 0.01; done) & done';
const AS_TENANT = `setpriv --reuid ${UID} --regid ${UID} --clear-groups`;

// Everything here happens inside a worker of the test's own; the agent is the built file, sshd and the accounts are real.
describe('the agent out of contact', () => {
  const lab = useLab();
  const control = useForAll(() => createFakeControlPlane(lab));
  let worker: Worker;
  const key = useForAll(() => generateSshKeyPair(lab.dir));
  const sh = async (command: string): Promise<string> => (await worker.exec(command)).stdout.trim();
  const target = (): SshTarget => ({ ...worker, user: USER, keyFile: key.keyFile });
  const login = async (): Promise<number | null> => (await sshExec(target(), 'true')).code;
  const record = async (): Promise<Record<string, unknown>> =>
    JSON.parse(await sh(`cat /var/lib/orion/accounts/${USER}.json`)) as Record<string, unknown>;
  const expiry = (): Promise<string> => sh(`getent shadow ${USER} | cut -d: -f8`);
  const awake = (): Promise<string> => sh(`ps -o stat= -U ${UID} | grep -v -e ^T -e ^Z -e ^D || true`);
  const progress = async (): Promise<{ pid: number; count: number }> => {
    const [pid = NaN, count = NaN] = (await sh(`tail -n 1 /home/${USER}/job.log`)).split(' ').map(Number);
    return { pid, count };
  };
  const listed = (...usernames: string[]): Record<string, unknown> =>
    heartbeatAnswer({
      contact_limit_seconds: LIMIT_SECONDS,
      accounts: usernames.map((username) => ({ username, remaining_seconds: 3600 })),
    });
  const untilHeld = async (): Promise<void> => {
    await eventually(async () => (await record()).held === true && (await awake()) === '', {
      what: 'the account is held',
      timeoutMs: WAIT_MS,
    });
    const before = await progress();
    expect(await login()).toBe(255);
    expect(await expiry()).toBe('1');
    expect(await progress()).toEqual(before);
  };
  const untilReleased = (): Promise<boolean> =>
    eventually(async () => (await record()).held === false && (await login()) === 0, {
      what: 'the account is released',
      timeoutMs: WAIT_MS,
    });

  beforeAll(async () => {
    control.reply('register', registration());
    control.reply('heartbeat', listed(USER));
    await control.open();
    const fleet = await launchWorkers(lab, 1, {
      endpoint: control.endpoint,
      agentEnv: { ...testConstants({ fenceGraceSeconds: 1 }), ORION_CONTROL_FINGERPRINT: control.fingerprint },
    });
    worker = fleet.workers[0] as Worker;
    const made = await worker.exec(`
      useradd -m -e 2100-01-01 -u ${UID} ${USER} && install -d -m 700 -o ${UID} /home/${USER}/.ssh && mkdir -p /var/lib/orion/accounts &&
      echo '${key.publicKey}' > /home/${USER}/.ssh/authorized_keys && chown ${UID} /home/${USER}/.ssh/authorized_keys &&
      echo "{\\"username\\": \\"${USER}\\", \\"uid\\": ${UID}, \\"lease_id\\": 1, \\"generation\\": 1, \\"ends_at\\": $(($(date +%s) + 3600))}" > /var/lib/orion/accounts/${USER}.json`);
    expect(made).toMatchObject({ code: 0, stderr: '' });
    await sshExec(target(), `nohup setsid sh -c '${JOB}' >/dev/null 2>&1 & true`);
    await eventually(async () => (await progress()).count > 2, { what: 'the job runs', timeoutMs: WAIT_MS });
  }, TEST_MS);

  it(
    'holds the account after the limit, whoever restarts meanwhile, and gives it back where it was, open sessions included',
    async () => {
      const session = sshExec(target(), 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 1; done; echo still here', {
        timeoutMs: TEST_MS,
      });
      const { pid } = await progress();
      await eventually(() => control.of('heartbeat').length > 0, { what: 'a heartbeat', timeoutMs: WAIT_MS });
      expect(await record()).not.toHaveProperty('held');
      await control.shut();
      await untilHeld();
      await sh("pkill -KILL -f '[o]rion-agent.js'");
      await eventually(() => readFileSync(join(worker.logs, 'init.log'), 'utf8').includes('agent ended'), {
        what: 'the agent ended',
        timeoutMs: WAIT_MS,
      });
      await untilHeld();

      const frozen = await progress();
      await control.open();
      await untilReleased();
      expect(Number(await expiry())).toBe(Math.floor(Number((await record()).ends_at) / 86_400) + 2);
      await eventually(async () => (await progress()).count > frozen.count, { what: 'the job goes on', timeoutMs: WAIT_MS });
      expect((await progress()).pid).toBe(pid);
      expect(await session).toMatchObject({ code: 0, stdout: 'still here\n' });
    },
    TEST_MS,
  );

  it(
    'holds what the control plane does not list any more, although it answers, and waits with it',
    async () => {
      control.reply('heartbeat', listed());
      await untilHeld();
      const seen = control.of('heartbeat').length;
      await eventually(() => control.of('heartbeat').length > seen + 5, { what: 'further heartbeats', timeoutMs: WAIT_MS });
      await untilHeld();
      control.reply('heartbeat', listed(USER));
      await untilReleased();
    },
    TEST_MS,
  );

  it(
    'holds a tenant who fights it, and what is started for him afterwards',
    async () => {
      await sh(`${AS_TENANT} bash -c '${FIGHT}; wait' >/dev/null 2>&1 &`);
      await control.shut();
      await untilHeld();
      const late = await sh(`${AS_TENANT} sh -c 'while :; do :; done' >/dev/null 2>&1 & echo $!`);
      await eventually(async () => (await sh(`ps -o stat= -p ${late}`)).startsWith('T'), {
        what: 'it is stopped, too',
        timeoutMs: WAIT_MS,
      });
      await sh(`kill -KILL ${late}; pkill -KILL -U ${UID} bash`);
      await control.open();
      await untilReleased();
    },
    TEST_MS,
  );

  it(
    'ends a held account when its lease is over',
    async () => {
      await control.shut();
      await untilHeld();
      await sh(`sed -i "s/\\"ends_at\\": *[0-9]*/\\"ends_at\\": $(date +%s)/" /var/lib/orion/accounts/${USER}.json`);
      await eventually(async () => (await record()).ended === true && (await sh(`ps -o pid= -U ${UID} || true`)) === '', {
        what: 'its end',
        timeoutMs: WAIT_MS,
      });
    },
    TEST_MS,
  );
});
