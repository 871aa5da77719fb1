import type { Mutation } from '../mutation';

/** Rights that are judged once, and never again. */
export const ACCESS: Mutation[] = [
  {
    name: 'removed-key-stays-on-the-machine',
    what: 'a key that is removed from its account is not taken off the machines',
    breaks: 'trust',
    shows: 'still opens it',
    scenario: 'fault-injections-real/removed-key',
    edits: [
      {
        file: 'src/flows/accounts/manage-keys.ts',
        find: '    await takeFromLeases(tx, user.id, removed.publicKey);\n    await accessChanged(tx, user.id);\n',
        replace: '    await takeFromLeases(tx, user.id, removed.publicKey);\n',
      },
    ],
  },
  {
    name: 'disabled-user-keeps-token',
    what: 'a token is good until it expires, though its user is disabled',
    breaks: 'trust',
    shows: 'a disabled user is let in',
    scenario: 'fault-injections/people',
    edits: [
      { file: 'src/modules/accounts/queries/users.ts', find: ' AND disabled_at IS NULL`,', replace: '`,' },
      {
        file: 'src/flows/people/change-user.ts',
        find: "  if (isToggled || (before.role === 'admin'",
        replace: "  if ((before.role === 'admin'",
      },
    ],
  },
  {
    name: 'code-works-twice',
    what: 'a one-time code stays with its account after it has set a password',
    breaks: 'trust',
    shows: 'a one-time code sets a second password',
    scenario: 'fault-injections/people',
    edits: [
      {
        file: 'src/modules/accounts/queries/passwords.ts',
        find: 'must_change_password = 0, code_hash = NULL, code_expires_at = NULL WHERE',
        replace: 'must_change_password = 0 WHERE',
      },
    ],
  },
  {
    name: 'session-outlives-its-key',
    what: 'the machine takes the key away and leaves the sessions that it opened',
    breaks: 'trust',
    shows: 'a session outlived its key',
    scenario: 'fault-injections-real/removed-key',
    edits: [{ file: 'playbooks/node/orion_account.py', find: '            end_sessions(self.name, self.uid)\n', replace: '' }],
  },
  {
    name: 'keys-in-the-home',
    what: "sshd takes the keys of the home beside root's",
    breaks: 'trust',
    shows: 'wrote into its home opens it',
    scenario: 'fault-injections-real/own-key',
    edits: [{ file: 'playbooks/node/orion_sshd.py', find: "KEYS + '/%u')", replace: "KEYS + '/%u .ssh/authorized_keys')" }],
  },
  {
    name: 'active-without-a-login',
    what: 'a lease is called active and a machine clean without a login as its tenant',
    breaks: 'trust',
    shows: 'its tenant cannot log in',
    scenario: 'fault-injections-real/shut-out',
    edits: [
      {
        file: 'src/modules/provisioning/login-check.ts',
        find: 'proved.get(nodeId) === rules',
        replace: 'true || proved.get(nodeId) === rules',
      },
    ],
  },
];
