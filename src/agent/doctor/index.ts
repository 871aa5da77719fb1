import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { HOST_NAME, HOST_NAME_RULE } from '../../lib/host-name';
import { messageOf } from '../../lib/errors';
import { readHostKey } from '../facts';
import { readTextIfPresent } from '../files';
import { signAsHost } from '../host-key';
import { MANAGEMENT_USERNAME } from '../management-account';
import { normalisePublicKey } from '../public-key';
import { algorithmFindings } from './algorithms';
import { ask } from './ask';
import { checkOf, fail, runExamination, warn, type Check, type Examination, type Finding } from './check';
import { contactExaminations, type ContactDeps } from './contact';
import { loginFindings, managementFindings, nologinFindings } from './logins';
import { examinePython } from './python';
import { findSshd, parseSshVersion, settingsFor, type Settings, type Sshd } from './sshd';
import { examineAccountFiles, examineDisk, examineHome, examineMemory, examinePrograms, examineTmp } from './storage';

export { printChecks, type Check } from './check';
export type { ContactDeps } from './contact';

export interface Subject {
  /** Port on which sshd listens here. */
  sshPort: number;
  stateDir: string;
  hostKeyFile: string;
  /** Problems of the settings themselves, as `NAME: problem`. */
  faults: string[];
  /** Undefined when the settings cannot be read. */
  hostname: string | undefined;
  contact: ContactDeps | undefined;
}

/** A user name that a tenant's account could have. */
const TENANT = { name: 'orn-check', groups: ['orion-keys', 'orn-check'], pattern: 'orn-*' };
const MANAGEMENT = { name: MANAGEMENT_USERNAME, groups: ['root'], pattern: MANAGEMENT_USERNAME };
const SSH_REMEDY = 'install OpenSSH 7.9 or newer (package openssh-server) and start it';

/** Checks what a machine needs before it can be a node. Changes nothing on it; never rejects. */
export async function examineMachine(subject: Subject): Promise<Check[]> {
  if (process.getuid?.() !== 0) {
    return [checkOf('root', [fail('this does not run as root, as the agent does', 'use sudo')])];
  }
  const examinations: Examination[] = [
    { name: 'settings', examine: () => Promise.resolve(faultFindings(subject.faults.filter((fault) => !isOfHostName(fault)))) },
    { name: 'host-name', examine: () => Promise.resolve(hostNameFindings(subject)) },
    { name: 'python', examine: examinePython },
    ...sshExaminations(subject),
    { name: 'home', examine: examineHome },
    { name: 'tmp', examine: examineTmp },
    { name: 'programs', examine: examinePrograms },
    { name: 'account-files', examine: examineAccountFiles },
    { name: 'disk', examine: examineDisk },
    { name: 'memory', examine: examineMemory },
    ...(subject.contact ? contactExaminations(subject.contact) : []),
  ];
  return [checkOf('root', []), ...(await Promise.all(examinations.map((examination) => runExamination(examination))))];
}

const isOfHostName = (fault: string): boolean => fault.startsWith('MY_HOSTNAME:');
const faultFindings = (faults: string[]): Finding[] => faults.map((fault) => fail(fault, 'correct the setting'));

function hostNameFindings({ faults, hostname }: Subject): Finding[] {
  const remedy = `set MY_HOSTNAME to a name of ${HOST_NAME_RULE}`;
  const wrong = faults.filter(isOfHostName).map((fault) => fail(fault, remedy));
  return wrong.length > 0 || hostname === undefined || HOST_NAME.test(hostname)
    ? wrong
    : [fail(`${JSON.stringify(hostname)} is not a host name`, remedy)];
}

function sshExaminations({ sshPort, stateDir, hostKeyFile }: Subject): Examination[] {
  /**
   * Runs `judge` with sshd's settings. Without an sshd with a valid configuration it returns nothing, because the check `sshd` reports that
   * problem.
   */
  const withSettings = async (
    user: string,
    signal: AbortSignal,
    judge: (settings: Settings, sshd: Sshd) => Finding[] | Promise<Finding[]>,
  ): Promise<Finding[]> => {
    const sshd = await findSshd(sshPort, signal);
    const settings = sshd && (await settingsFor(sshd, user, signal).catch(() => undefined));
    return settings ? judge(settings, sshd) : [];
  };
  return [
    { name: 'sshd', examine: async (signal) => sshdFindings(await findSshd(sshPort, signal), sshPort, signal) },
    {
      name: 'host-key',
      examine: (signal) =>
        examineHostKey(hostKeyFile).then(async (wrong) =>
          wrong.length > 0 ? wrong : withSettings('root', signal, (settings) => shownKeyFindings(settings, hostKeyFile)),
        ),
    },
    {
      name: 'management-login',
      examine: (signal) =>
        withSettings(MANAGEMENT.name, signal, (settings, { config }) => [
          ...managementFindings(settings, join(stateDir, 'mgmt'), config),
          ...loginFindings(settings, MANAGEMENT, config),
        ]),
    },
    {
      name: 'tenant-login',
      examine: (signal) =>
        withSettings(TENANT.name, signal, async (settings, { config }) => [
          ...loginFindings(settings, TENANT, config),
          ...nologinFindings(settings, await presentOf(['/etc/nologin', '/run/nologin'])),
        ]),
    },
    {
      name: 'algorithms',
      examine: (signal) =>
        withSettings('root', signal, async (settings, { config }) =>
          algorithmFindings(settings, (await readHostKey(hostKeyFile).catch(() => undefined))?.split(' ')[0], config),
        ),
    },
  ];
}

async function sshdFindings(sshd: Sshd | undefined, port: number, signal: AbortSignal): Promise<Finding[]> {
  if (!sshd) {
    return [fail('there is no sshd', SSH_REMEDY)];
  }
  const version = parseSshVersion((await ask(sshd.program, ['-V'], signal))?.output ?? '');
  if (!version || !isNewEnough(version)) {
    return [fail(version ? `${sshd.program} is OpenSSH ${version.join('.')}` : `${sshd.program} is not OpenSSH`, SSH_REMEDY)];
  }
  const refused = await settingsFor(sshd, 'root', signal).then(() => undefined, messageOf);
  return [
    ...(refused === undefined ? [] : [fail(refused, `correct it: ${sshd.program} -t -f ${sshd.config}`)]),
    ...(sshd.running
      ? []
      : [
          warn(
            `no sshd listens on port ${port} here (systemd may listen for it)`,
            'start sshd, or set MY_HOST_PORT, or ORION_LOCAL_SSH where another port is forwarded to it',
          ),
        ]),
  ];
}

const isNewEnough = ([major, minor]: [number, number]): boolean => major > 7 || (major === 7 && minor >= 9);

async function examineHostKey(file: string): Promise<Finding[]> {
  try {
    await readHostKey(file);
  } catch {
    return [fail(`there is no SSH host key ${file}`, 'install sshd and start it, or run ssh-keygen -A, or set ORION_HOST_KEY_FILE')];
  }
  return signAsHost(file, Buffer.from('orion-agent doctor')).then(
    () => [],
    (error: unknown) => [
      fail(messageOf(error), 'install OpenSSH 8.1 or newer (package openssh-client), and keep the private key beside the public one'),
    ],
  );
}

/** Checks that sshd offers the host key that the agent registers, because the control plane pins that key. */
async function shownKeyFindings(settings: Settings, file: string): Promise<Finding[]> {
  const shown = await Promise.all((settings.get('hostkey') ?? []).map((path) => readTextIfPresent(`${path}.pub`)));
  const known = shown.map((text) => normalisePublicKey(text ?? ''));
  return known.length === 0 || known.includes(undefined) || known.includes(await readHostKey(file))
    ? []
    : [fail(`sshd does not show the host key ${file}`, 'set ORION_HOST_KEY_FILE to a key that sshd has as HostKey')];
}

async function presentOf(paths: string[]): Promise<string[]> {
  const found = await Promise.all(
    paths.map((path) =>
      stat(path).then(
        () => [path],
        () => [],
      ),
    ),
  );
  return found.flat();
}
