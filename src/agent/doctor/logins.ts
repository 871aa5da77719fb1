import { fail, warn, type Finding } from './check';
import type { Settings } from './sshd';

export interface Account {
  name: string;
  groups: string[];
  /** The pattern that an operator adds to AllowUsers and AllowGroups. */
  pattern: string;
}

/** Finds settings that keep an account of Orion from logging in with a key and running a command. The texts contain `config`. */
export function loginFindings(settings: Settings, { name, groups, pattern }: Account, config: string): Finding[] {
  const first = (keyword: string): string => settings.get(keyword)?.[0] ?? '';
  const isSet = (keyword: string): boolean => !['', 'none'].includes(first(keyword));
  return [
    ...admissionFindings(settings, { name, groups, pattern }, config),
    ...(first('pubkeyauthentication') === 'no'
      ? [fail(`PubkeyAuthentication is off in ${config}`, `set PubkeyAuthentication yes for ${pattern}`)]
      : []),
    ...(keyIsEnough(first('authenticationmethods'))
      ? []
      : [
          fail(
            `AuthenticationMethods in ${config} wants more than a key: ${first('authenticationmethods')}`,
            `set AuthenticationMethods publickey for ${pattern} (Match User ${pattern})`,
          ),
        ]),
    ...(first('maxsessions') === '0' ? [fail(`MaxSessions is 0 in ${config}`, 'remove it: the default is 10')] : []),
    ...(isSet('forcecommand')
      ? [fail(`ForceCommand in ${config} runs something else: ${first('forcecommand')}`, `leave ${pattern} out of it (Match User)`)]
      : []),
    ...(isSet('chrootdirectory')
      ? [fail(`ChrootDirectory is set in ${config}: ${first('chrootdirectory')}`, `leave ${pattern} out of it (Match User)`)]
      : []),
  ];
}

/** Any single list is enough; a list names methods that are all required. */
const keyIsEnough = (methods: string): boolean =>
  methods === '' || methods.split(' ').some((list) => list === 'any' || list === 'publickey');

function admissionFindings(settings: Settings, { name, groups, pattern }: Account, config: string): Finding[] {
  const listed = (keyword: string): string[] =>
    (settings.get(keyword) ?? []).flatMap((value) => value.split(' ')).filter((value) => value !== '');
  const named = (keyword: string, names: string[]): Match => best(names.map((each) => matchName(listed(keyword), each)));
  const denied = named('denyusers', [name]);
  const allowed = listed('allowusers').length === 0 ? 'yes' : named('allowusers', [name]);
  return [
    ...(denied === 'yes' ? [fail(`DenyUsers in ${config} names ${name}`, `take ${name} out of it`)] : []),
    ...(denied === 'from some hosts'
      ? [warn(`DenyUsers in ${config} refuses ${name} from some hosts`, 'the control plane and its gateways must be none of them')]
      : []),
    ...(allowed === 'no' ? [fail(`AllowUsers in ${config} does not admit ${name}`, `add ${pattern} to it`)] : []),
    ...(allowed === 'from some hosts'
      ? [warn(`AllowUsers in ${config} admits ${name} from some hosts only`, 'the control plane and its gateways must be among them')]
      : []),
    ...(named('denygroups', groups) === 'yes'
      ? [fail(`DenyGroups in ${config} names a group of ${name}`, `take ${groups.join(', ')} out of it`)]
      : []),
    ...(listed('allowgroups').length > 0 && named('allowgroups', groups) === 'no'
      ? [fail(`AllowGroups in ${config} names no group of ${name}`, `add ${groups[0] ?? ''} to it`)]
      : []),
  ];
}

type Match = 'yes' | 'from some hosts' | 'no';

const best = (matches: Match[]): Match =>
  matches.includes('yes') ? 'yes' : matches.includes('from some hosts') ? 'from some hosts' : 'no';

/**
 * Matches users and groups as sshd does, with * and ?. `user@host` holds for some hosts only; the doctor does not know the control plane's
 * address.
 */
export function matchName(patterns: string[], name: string): Match {
  const matches = patterns.map((pattern): Match => {
    const at = pattern.indexOf('@');
    const host = at < 0 ? '*' : pattern.slice(at + 1);
    return !isMatch(at < 0 ? pattern : pattern.slice(0, at), name) ? 'no' : host === '*' ? 'yes' : 'from some hosts';
  });
  return best(matches);
}

function isMatch(pattern: string, name: string): boolean {
  const source = pattern
    .replace(/[\\^$.|+()[\]{}]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`).test(name);
}

/** Checks the login of the management account, which is a second name of root and has its keys in its home. */
export function managementFindings(settings: Settings, home: string, config: string): Finding[] {
  const permit = settings.get('permitrootlogin')?.[0] ?? 'yes';
  const files = (settings.get('authorizedkeysfile')?.[0] ?? '.ssh/authorized_keys').split(' ');
  const expand = (file: string): string => {
    const path = file.replaceAll('%h', home).replaceAll('%u', 'orion-mgmt').replaceAll('%U', '0').replaceAll('%%', '%');
    return path.startsWith('/') ? path : `${home}/${path}`;
  };
  return [
    ...(['no', 'forced-commands-only'].includes(permit)
      ? [
          fail(
            `PermitRootLogin is ${permit} in ${config}, and the management account orion-mgmt has uid 0`,
            'put "Match User orion-mgmt" with "PermitRootLogin prohibit-password" at the end of the file and reload sshd',
          ),
        ]
      : []),
    ...(files.map(expand).includes(`${home}/.ssh/authorized_keys`)
      ? []
      : [
          fail(
            `AuthorizedKeysFile in ${config} is ${files.join(' ')}: the keys of orion-mgmt are in ${home}/.ssh/authorized_keys`,
            'put "Match User orion-mgmt" with "AuthorizedKeysFile .ssh/authorized_keys" at the end of the file and reload sshd',
          ),
        ]),
  ];
}

/** Checks for nologin files. Without PAM, sshd reads only /etc/nologin; pam_nologin reads both. */
export function nologinFindings(settings: Settings, present: string[]): Finding[] {
  const counts = settings.get('usepam')?.[0] === 'yes' ? present : present.filter((path) => path === '/etc/nologin');
  return counts
    .slice(0, 1)
    .map((path) => fail(`${path} is there: nobody but root may log in`, `remove ${path} when the machine may be used`));
}
