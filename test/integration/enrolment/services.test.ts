import { beforeAll, describe, expect, it } from '@jest/globals';
import { launchWorkers, type RunResult, type Worker } from '../../lab';
import { useLab, useTestApi, useTestDatabase } from '../../support/hooks';
import { filesOf, get, install, makeInstallable } from './support';

/**
 * What the installer does where systemd or OpenRC runs. Neither can run in a worker: their commands are stand-ins that note how they were
 * called and start what the unit or the init script says. The machines wait for an operator, so nothing has to be wiped.
 */
const lab = useLab();
const database = useTestDatabase();
const api = useTestApi(database);
let workers: [Worker, Worker];

beforeAll(async () => {
  workers = (await launchWorkers(lab, 2)).workers as [Worker, Worker];
  await Promise.all(workers.map(makeInstallable));
}, 120_000);

const SYSTEMCTL = `#!/bin/sh
echo "systemctl $*" >>/run/lab/calls
case "$*" in
  'start orion-agent') setsid $(sed -n 's/^ExecStart=//p' /etc/systemd/system/orion-agent.service) </dev/null >/dev/null 2>&1 & echo $! >/run/lab/pid ;;
  'stop orion-agent') [ ! -s /run/lab/pid ] || kill "$(cat /run/lab/pid)" || : ;;
  *is-active*) kill -0 "$(cat /run/lab/pid)" ;;
esac
`;

const RC_SERVICE = `#!/bin/sh
echo "rc-service $*" >>/run/lab/calls
. /etc/init.d/orion-agent
case "$*" in
  *start) setsid $command $command_args </dev/null >>"$output_log" 2>&1 & echo $! >"$pidfile" ;;
  *stop) [ ! -s "$pidfile" ] || kill "$(cat "$pidfile")" || : ;;
  *status) kill -0 "$(cat "$pidfile")" ;;
esac
`;

const RC_UPDATE = '#!/bin/sh\necho "rc-update $*" >>/run/lab/calls\n';

interface Init {
  init: string;
  index: 0 | 1;
  shell: string;
  /** Run before each command, to change its surroundings. */
  enter: string;
  file: string;
  /** The folder by which it is known to run, and its commands. */
  pretence: { runs: string; programs: Record<string, string> };
  /** How its commands are called. */
  installing: string[];
  removing: string[];
}

const INITS: Init[] = [
  {
    init: 'systemd',
    index: 0,
    shell: 'sh',
    enter: '',
    file: '/etc/systemd/system/orion-agent.service',
    pretence: { runs: '/run/systemd/system', programs: { systemctl: SYSTEMCTL } },
    installing: [
      'systemctl daemon-reload',
      'systemctl --quiet enable orion-agent',
      'systemctl stop orion-agent',
      'systemctl start orion-agent',
    ],
    removing: ['systemctl stop orion-agent', 'systemctl --quiet disable orion-agent', 'systemctl daemon-reload'],
  },
  {
    // With BusyBox for everything that it has.
    init: 'OpenRC',
    index: 1,
    shell: 'busybox ash',
    enter: 'mkdir -p /run/lab/busybox && busybox --install -s /run/lab/busybox && export PATH=/usr/local/bin:/run/lab/busybox:$PATH && ',
    file: '/etc/init.d/orion-agent',
    pretence: { runs: '/run/openrc', programs: { 'rc-service': RC_SERVICE, 'rc-update': RC_UPDATE } },
    installing: [
      'rc-update --quiet add orion-agent default',
      'rc-service --quiet --ifstarted orion-agent stop',
      'rc-service --quiet orion-agent start',
    ],
    removing: ['rc-service --quiet --ifstarted orion-agent stop', 'rc-update --quiet delete orion-agent default'],
  },
];

async function pretend(worker: Worker, { runs, programs }: Init['pretence']): Promise<void> {
  await worker.exec(`mkdir -p ${runs} /run/lab`);
  for (const [name, text] of Object.entries(programs)) {
    await worker.exec(`cat >/usr/local/bin/${name}; chmod 755 /usr/local/bin/${name}`, { input: text });
  }
}

async function enrol(worker: Worker, shell: string): Promise<RunResult> {
  const script = (await get(`${api.url}/install.sh`)).body;
  return install(worker, script, {
    env: { ORION_TOKEN: 'none', MY_HOSTNAME: worker.name, MY_ADDRESS: worker.address, MY_HOST_PORT: String(worker.port) },
    shell,
  });
}

/** How the init was called since the last look, but for questions. */
const callsOf = async (worker: Worker): Promise<string[]> => {
  const { stdout } = await worker.exec('cat /run/lab/calls; : >/run/lab/calls');
  return stdout
    .trim()
    .split('\n')
    .filter((call) => !/is-active|status$/.test(call));
};

describe.each(INITS)('where $init runs', ({ index, shell, enter, file, pretence, installing, removing }) => {
  const worker = (): Worker => workers[index];
  const within = (command: string): string => (enter === '' ? command : `sh -c '${enter}exec ${command}'`);
  let before: string[];

  it('the agent becomes a service that is started at boot', async () => {
    await pretend(worker(), pretence);
    before = await filesOf(worker());
    const { code, stdout, stderr } = await enrol(worker(), within(shell));
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: expect.stringContaining(`the agent runs; this machine waits until an operator of ${api.url} lets it in`),
      stderr: '',
    });
    expect(await callsOf(worker())).toEqual(installing);
    expect((await worker().exec(`stat -c %a ${file} /usr/local/bin/orion-agent /etc/orion-agent/env`)).stdout).toMatch(
      /^(644|755)\n755\n600\n$/,
    );
    await callsOf(worker());
  }, 120_000);

  it('it goes with its files when it is uninstalled, unless tenants are there', async () => {
    await worker().exec('echo orn-someone:x:70000:70000::/:/bin/sh >>/etc/passwd');
    expect(await worker().exec('orion-agent uninstall')).toMatchObject({ code: 1, stderr: expect.stringContaining('accounts of tenants') });
    await worker().exec("sed -i '/^orn-/d' /etc/passwd");
    const { code, stdout } = await worker().exec(within(`${shell} /usr/local/bin/orion-agent uninstall`));
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'nothing of Orion remains on this machine\n' });
    expect(await callsOf(worker())).toEqual(removing);
    expect(await filesOf(worker())).toEqual(before);
  }, 120_000);
});
