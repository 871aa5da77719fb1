import type { Edit, Mutation } from '../mutation';

const WIPE = 'playbooks/node/orion_wipe.py';
const PROCESSES = 'playbooks/node/orion_processes.py';
const WIPE_FLOW = 'src/flows/placements/wipe-node.ts';

/** The verification says that all is well, or the product itself would notice a bad wipe and keep the node. */
const BLIND_VERIFICATION: Edit = {
  file: 'playbooks/files/verify_clean.sh',
  find: 'sort -u "$out" >"$work/sorted"',
  replace: ': >"$work/sorted"',
};

/** What tenants leave, and what machines bring back. */
export const CLEANING: Mutation[] = [
  {
    name: 'userdel-alone',
    what: 'userdel is the whole wipe, and the verification is blind',
    breaks: 'I7',
    shows: 'has something of uid',
    scenario: 'fault-injections-real/leftover',
    edits: [
      {
        file: WIPE,
        find: '    def run(self):\n',
        replace:
          "    def run(self):\n        import subprocess\n        for name in self.accounts:\n            subprocess.call([tool('userdel'), '-f', '-r', name])\n        return\n",
      },
      BLIND_VERIFICATION,
    ],
  },
  {
    name: 'one-pkill',
    what: 'processes are ended by one pkill, and the verification is blind',
    breaks: 'I7',
    shows: 'has something of uid',
    scenario: 'fault-injections-real/leftover',
    edits: [
      {
        file: PROCESSES,
        find: '    seen, clean = set(), 0\n',
        replace: "    for uid in uids:\n        os.system('pkill -u %d' % uid)\n    return 0\n    seen, clean = set(), 0\n",
      },
      // What goes on holds its keyring, which would tell.
      { file: WIPE, find: "        self.attempt('keys', lambda: expect_no_keys(self.uids))\n", replace: '' },
      BLIND_VERIFICATION,
    ],
  },
  {
    name: 'kernel-keys-not-wiped',
    what: 'the keys of an account stay in the kernel, and the verification is blind',
    breaks: 'I5',
    shows: 'keys ',
    scenario: 'leftovers',
    edits: [
      { file: WIPE, find: "self.attempt('keys', lambda: invalidate_keys(self.uids))", replace: 'None' },
      { file: WIPE, find: "        self.attempt('keys', lambda: expect_no_keys(self.uids))\n", replace: '' },
      BLIND_VERIFICATION,
    ],
  },
  {
    name: 'login-records-not-wiped',
    what: 'who logged in, from where and when, stays where the next tenant can read it, and the verification is blind',
    breaks: 'I5',
    shows: 'record in ',
    scenario: 'leftovers',
    edits: [
      { file: WIPE, find: "self.attempt('records of logins', lambda: remove_records(self.accounts))", replace: 'None' },
      BLIND_VERIFICATION,
    ],
  },
  {
    name: 'uid-check-left-out',
    what: 'an account gets the number of its placement, whoever else has it on the machine',
    breaks: 'I7',
    shows: 'of somebody who is no tenant',
    scenario: 'fault-injections-real/foreign-uid',
    edits: [
      {
        file: 'playbooks/node/orion_account.py',
        find: '        if self.is_new():\n            refuse_taken(self.name, self.uid)\n',
        replace: '',
      },
    ],
  },
  {
    name: 'freed-before-verified',
    what: 'what the verification found does not keep the node from being freed',
    breaks: 'I7',
    shows: 'has something of uid',
    scenario: 'fault-injections-real/put-back',
    edits: [{ file: WIPE_FLOW, find: 'if (!verify.clean) {', replace: 'if (verify.durationMs < 0) {' }],
  },
  {
    name: 'failed-wipe-frees',
    what: 'a node whose wipe failed counts as clean until the next attempt',
    breaks: 'I9',
    shows: 'its last wipe failed',
    scenario: 'fault-injections-real/put-back',
    edits: [
      {
        file: 'src/modules/nodes/queries/wipes.ts',
        find: 'SET wipe_failures = wipe_failures + 1, wipe_token = NULL',
        replace: 'SET wipe_failures = wipe_failures + 1, dirty = 0, wipe_token = NULL',
      },
    ],
  },
  {
    name: 'freed-without-wipe',
    what: 'a node is free as soon as its lease has left it',
    breaks: 'I5',
    shows: 'is free while placement',
    scenario: 'fault-injections/moves',
    edits: [
      {
        file: 'src/modules/nodes/queries/occupancy.ts',
        find: 'SET lease_id = NULL, dirty = 1, wipe_token = NULL',
        replace: 'SET lease_id = NULL, dirty = 0, wipe_token = NULL',
      },
      {
        file: 'src/modules/nodes/queries/occupancy.ts',
        find: "wipe_due_at = IF(status IN ('alive','suspect'), UTC_TIMESTAMP(3), NULL)",
        replace: 'wipe_due_at = NULL',
      },
    ],
  },
  {
    name: 'dead-node-not-wiped',
    what: 'a node that was dead is free as soon as it answers again',
    breaks: 'I6',
    shows: 'without a wipe in between',
    scenario: 'fault-injections/outage',
    edits: [
      { file: 'src/modules/nodes/queries/probes.ts', find: 'dirty = IF(?, 1, dirty),', replace: 'dirty = IF(?, dirty, dirty),' },
      {
        file: 'src/modules/nodes/queries/probes.ts',
        find: 'WHEN ? AND lease_id IS NULL THEN',
        replace: 'WHEN ? AND lease_id IS NULL AND last_death_at IS NULL THEN',
      },
    ],
  },
  {
    name: 'returned-node-taken-for-clean',
    what: 'a machine that was dead is thought to have come back empty: the accounts of leases that were moved off it are not wiped',
    breaks: 'I7',
    shows: 'for no lease',
    scenario: 'fault-injections-real/lost-node',
    edits: [
      {
        file: WIPE_FLOW,
        find: 'const wipe = await wipeAll(ctx, { claim, accounts, signal });',
        replace:
          'if (claim.node.lastDeathAt !== null) { return { wipe: { changed: false, durationMs: 0, details: {} }, verify: { clean: true, findings: [], notExamined: [], durationMs: 0 }, fitness: { checks: [], fence: undefined } }; }\n  const wipe = await wipeAll(ctx, { claim, accounts, signal });',
      },
    ],
  },
  {
    name: 'changed-host-key-accepted',
    what: 'whatever key a machine shows is good enough: for probes, for plays, at registration and in heartbeats',
    breaks: 'trust',
    shows: 'another host key than the pinned one',
    scenario: 'fault-injections-real/new-host-key',
    edits: [
      {
        file: 'src/ssh/session.ts',
        find: "changed = key.toString('base64') !== blob;",
        replace: "changed = key.toString('base64') === '' && blob === '';",
      },
      {
        file: 'src/modules/provisioning/ansible/ssh-config.ts',
        find: "['StrictHostKeyChecking', 'yes']",
        replace: "['StrictHostKeyChecking', 'no']",
      },
      {
        file: 'src/modules/provisioning/ansible/ssh-config.ts',
        find: "['UserKnownHostsFile', quoted(files.knownHosts)]",
        replace: "['UserKnownHostsFile', '/dev/null']",
      },
      {
        file: 'src/flows/heartbeats/record-heartbeat.ts',
        find: 'hostKey !== null &&\n    hostKey !== node.hostKey &&',
        replace: "hostKey === '' &&\n    hostKey !== node.hostKey &&",
      },
      {
        file: 'src/flows/enrolment/register-node.ts',
        find: 'if (node.hostKey !== request.hostKey) {',
        replace: "if (node.hostKey === '') {",
      },
      {
        file: 'src/flows/enrolment/register-node.ts',
        find: 'upsert(tx, ctx, { request, status, before: node,',
        replace: 'upsert(tx, ctx, { request: { ...request, hostKey: node.hostKey }, status, before: node,',
      },
    ],
  },
];
