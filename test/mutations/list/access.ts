import type { Mutation } from '../mutation';

/** Rights that are judged once, and never again. */
export const ACCESS: Mutation[] = [
  {
    name: 'removed-key-stays-on-the-machine',
    what: 'a key that is removed from its account is not taken off the machines',
    breaks: 'trust',
    shows: 'still opens it',
    scenario: 'fault-injections-real/removed-key',
    edits: [{ file: 'src/flows/accounts/manage-keys.ts', find: '    await takeFromLeases(tx, user.id, removed.publicKey);\n    await accessChanged(tx, user.id);\n', replace: '    await takeFromLeases(tx, user.id, removed.publicKey);\n' }],
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
    what: 'sshd takes the keys of the home beside root\'s',
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
    edits: [{ file: 'src/modules/provisioning/login-check.ts', find: 'proved.get(nodeId) === rules', replace: 'true || proved.get(nodeId) === rules' }],
  },
];
