import { eventually, generateSshKeyPair, type SshKeyPair } from '../../lab';
import { expectStatus } from '../../support/api-client';
import { givenSshdLine } from '../../support/sshd';
import { createTenant, type Tenant } from '../../support/tenant';
import { violationOf } from '../../checker/evidence';
import { type Arena, PATIENCE_MS, type FaultInjection } from './arena';

/** What was promised: a right that was taken away opens nothing after this time. */
const LIMIT_MS = 5_000;

const found = violationOf('trust');

/** Ada with another key. */
async function withKey({ system, ada }: Arena): Promise<Tenant & { key: SshKeyPair }> {
  const key = await generateSshKeyPair(system.lab.dir);
  return { ...createTenant(ada.userId, ada.client, key), key };
}

const isTrueWithin = (what: string, fn: () => Promise<boolean> | boolean, timeoutMs = LIMIT_MS): Promise<boolean> =>
  eventually(fn, { what, timeoutMs, everyMs: 100 }).then(
    () => true,
    () => false,
  );

const removedKey: FaultInjection = {
  name: 'removed-key',
  promise: 'a key is taken from its account while a session of it is open: after 5 s it opens no lease, and the session is over',
  inject: async (arena) => {
    const lease = await arena.lease();
    const other = await withKey(arena);
    const opens = async (): Promise<boolean> => (await other.login(lease, 'true')).code === 0;
    const { id } = expectStatus(await other.client.post<{ id: number }>('/api/keys', { public_key: other.key.publicKey }), 201);
    if (!(await isTrueWithin('the key opens the lease', opens, PATIENCE_MS))) {
      arena.found.push(found(`lease ${lease.id}`, 'a key that was added does not open it'));
      return;
    }
    const session = await other.openSession(lease);
    expectStatus(await other.client.delete(`/api/keys/${id}`), 204);
    const ended = isTrueWithin('the session ends', () => !session.isOpen());
    if (!(await isTrueWithin('the key opens nothing', async () => !(await opens())))) {
      arena.found.push(found(`lease ${lease.id}`, 'a key that was removed still opens it'));
    }
    if (!(await ended)) {
      arena.found.push(found(`lease ${lease.id}`, 'a session outlived its key'));
    }
    session.close();
  },
};

const ownKey: FaultInjection = {
  name: 'own-key',
  promise: 'a tenant writes a key that nobody registered into the files of its home that sshd looks at by itself: it opens nothing',
  inject: async (arena) => {
    const lease = await arena.lease();
    const other = await withKey(arena);
    const { code, stderr } = await arena.ada.login(lease, 'umask 077; mkdir -p .ssh; tee .ssh/authorized_keys >.ssh/authorized_keys2', {
      input: `${other.key.publicKey}\n`,
    });
    if (code !== 0) {
      throw new Error(`the login ended with ${String(code)}: ${stderr}`);
    }
    if ((await other.login(lease, 'true')).code === 0) {
      arena.found.push(found(`lease ${lease.id}`, 'a key that the tenant wrote into its home opens it'));
    }
  },
};

const shutOut: FaultInjection = {
  name: 'shut-out',
  promise:
    "a machine's owner admits only some users to its sshd: every lease that is active admits its tenant, and the machine comes back when it is mended",
  inject: async ({ ada, fleet, history, found: violations }) => {
    const [worker] = fleet.workers;
    if (!worker) {
      throw new Error('no worker');
    }
    const mend = await givenSshdLine(worker, 'AllowUsers root orion-mgmt');
    try {
      // One for each machine, or for each that is left.
      for (const { name } of fleet.workers) {
        const answer = await history.rent(ada, { key: `shut-out-${name}` });
        const [lease] = answer?.status === 201 ? answer.body.leases : [];
        if (lease?.state === 'active' && (await ada.login(lease, 'true')).code !== 0) {
          violations.push(found(`lease ${lease.id}`, 'it is active, and its tenant cannot log in'));
        }
      }
    } finally {
      await mend();
    }
  },
};

export const OF_RIGHTS: FaultInjection[] = [removedKey, ownKey, shutOut];
