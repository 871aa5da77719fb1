import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { z } from 'zod';
import { anSshKey } from '../../test/support/keys';
import type { LeaseView } from '../flows/leases/view-lease';
import type { Checkpoint } from '../modules/checkpoints';
import type { Lease, Placement } from '../modules/leases';
import type { Node } from '../modules/nodes';
import { credentials, keyBody, loginBody, userAnswer, userChange } from '../contract/accounts';
import { presentUser } from './accounts/presenter';
import { presentLease } from './leases/presenter';
import { extendBody, leaseAnswer, releaseBody, rentBody } from '../contract/leases';
import { presentNode, presentNodeForAdmin } from './nodes/presenter';
import { approveBody, drainBody, nodeAnswer, quarantineBody } from '../contract/nodes';
import { idParam, pageQuery } from '../contract/paging';
import { tokenBody } from '../contract/tokens';
import { heartbeatBody, registerBody } from '../contract/workers';

const key = anSshKey();
const text = fc.string({ maxLength: 40, unit: 'binary' });
const labels = fc.dictionary(fc.stringMatching(/^[a-z0-9][a-z._/-]{0,8}$/), fc.stringMatching(/^[a-zA-Z0-9._/-]{0,8}$/), { maxKeys: 4 });
const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });
const amount = fc.oneof(fc.integer({ min: -2, max: 10_000 }), fc.double({ noNaN: true }), fc.constant(0));
const members = (model: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<object> => fc.record(model, { requiredKeys: [] });
const duration = { duration_hours: maybe(amount), duration_minutes: maybe(amount) };
const port = fc.integer({ min: 0, max: 65_536 });

/** Bodies that clients might send. The validators accept most of them. */
const BODIES: [string, z.ZodType, fc.Arbitrary<unknown>][] = [
  ['credentials', credentials, members({ username: fc.stringMatching(/^[a-z0-9._-]{1,33}$/), password: fc.string({ maxLength: 20 }) })],
  ['loginBody', loginBody, members({ username: text, password: text })],
  ['keyBody', keyBody, members({ name: text, public_key: fc.constant(key) })],
  [
    'userChange',
    userChange,
    members({ max_leases: amount, max_lease_hours: amount, role: fc.constantFrom('user', 'admin'), disabled: fc.boolean() }),
  ],
  [
    'rentBody',
    rentBody,
    members({
      ...duration,
      client_id: fc.oneof(amount, text),
      count: amount,
      requirements: members({ cpus: amount, memory_mb: amount, labels }),
      ssh_public_key: text,
      with_password: fc.boolean(),
      checkpoint: fc.boolean(),
    }),
  ],
  ['extendBody', extendBody, members({ lease_id: amount, ...duration })],
  ['releaseBody', releaseBody, members({ lease_id: amount })],
  ['approveBody', approveBody, members({ host_key_fingerprint: text })],
  ['drainBody', drainBody, members({ move: fc.boolean() })],
  ['quarantineBody', quarantineBody, members({ reason: text })],
  ['tokenBody', tokenBody, members({ name: text, max_uses: amount, ttl_hours: amount, labels })],
  [
    'registerBody',
    registerBody,
    members({
      hostname: fc.domain(),
      address: fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()),
      ssh_port: port,
      host_key: text,
      join_token: text,
      labels,
      facts: members({ cpus: amount, memory_mb: amount, disk_mb: amount, os: text }),
    }),
  ],
  [
    'heartbeatBody',
    heartbeatBody,
    members({
      load1: amount,
      memory_free_mb: amount,
      disk_free_mb: amount,
      accounts: fc.array(text, { maxLength: 3 }),
      ssh_port: port,
      host_key: text,
    }),
  ],
];

describe('what a validator takes', () => {
  it.each(BODIES)('%s: means the same when it is sent once more in the form that it was given', (_name, schema, bodies) => {
    fc.assert(
      fc.property(bodies, (body) => {
        const once = schema.safeParse(body);
        if (once.success) {
          const sent = JSON.parse(JSON.stringify(once.data)) as unknown;
          expect(schema.parse(sent)).toEqual(sent);
        }
      }),
    );
  });

  it.each(BODIES)('%s: is never taken with one member of another kind', (_name, schema, bodies) => {
    fc.assert(
      fc.property(bodies, fc.nat(), (body, n) => {
        const names = Object.keys(body as object);
        const name = names[n % names.length];
        if (name !== undefined) {
          expect(schema.safeParse({ ...(body as object), [name]: Symbol.iterator }).success).toBe(false);
        }
      }),
    );
  });

  it('R16: an id is its own decimal digits and no other spelling', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (id) => {
        expect(idParam.parse({ id: String(id) })).toEqual({ id });
        for (const other of [`+${id}`, `${id}.0`, ` ${id}`, `${id} `, `0x${id.toString(16)}`, `${id}e0`, `-${id}`, `${id}n`]) {
          expect(idParam.safeParse({ id: other }).success).toBe(false);
        }
      }),
    );
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.anything()), (id) => {
        const taken = idParam.safeParse({ id });
        expect(!taken.success || /^0*[1-9]\d*$/.test(String(id))).toBe(true);
      }),
    );
  });

  it('R16: a page is small, whatever is asked for', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.integer().map(String), fc.anything()), (limit) => {
        const taken = pageQuery.safeParse({ limit });
        expect(!taken.success || (taken.data.limit >= 1 && taken.data.limit <= 500)).toBe(true);
      }),
    );
  });
});

const date = fc.date({ min: new Date('2000-01-01'), max: new Date('2100-01-01'), noInvalidDate: true });
const orNull = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(value, { nil: null });
const id = fc.integer({ min: 1, max: 2 ** 40 });
const statuses = ['pending', 'unknown', 'alive', 'suspect', 'dead', 'quarantined', 'retired'] as const;

const node: fc.Arbitrary<Node> = fc.record({
  id,
  hostname: fc.domain(),
  address: fc.ipV4(),
  sshPort: fc.integer({ min: 1, max: 65_535 }),
  reach: fc.constantFrom('direct', 'tunnel'),
  hostKey: fc.constant(key),
  offeredHostKey: orNull(fc.constant(key)),
  status: fc.constantFrom(...statuses),
  statusReason: orNull(text),
  statusSince: date,
  drained: fc.boolean(),
  leaving: fc.boolean(),
  evacuating: fc.boolean(),
  dirty: fc.boolean(),
  leaseId: orNull(id),
  leasable: fc.boolean(),
  useBand: fc.constantFrom(0, 1, 2, 3),
  cpus: fc.nat(),
  memoryMb: fc.nat(),
  labels,
  operatorLabels: labels,
  maxCpus: orNull(fc.nat()),
  maxMemoryMb: orNull(fc.nat()),
  facts: fc.record({ os: text, load1: fc.nat() }, { requiredKeys: [] }),
  lastDeathAt: orNull(date),
  probeFailures: fc.nat(),
  firstFailedAt: orNull(date),
  lastCheckedAt: orNull(date),
  lastHeartbeatAt: orNull(date),
  wipeFailures: fc.nat(),
  wipedAt: orNull(date),
  provisionFailures: fc.nat(),
  registeredAt: date,
  checks: fc.array(fc.record({ name: text, result: fc.constantFrom('ok', 'fail'), cause: text, remedy: text })),
  checkedAt: orNull(date),
  withheldLooks: fc.nat(),
  sharedStorage: fc.constantFrom('allow', 'refuse'),
  notExamined: fc.array(fc.record({ path: text, type: text })),
  withheldReason: orNull(text),
  uidRefusal: orNull(text),
  uidRange: orNull(fc.record({ first: fc.nat(), last: fc.nat() })),
});
const lease: fc.Arbitrary<Lease> = fc.record({
  id,
  rentId: id,
  userId: id,
  state: fc.constantFrom('provisioning', 'active', 'migrating', 'ending', 'ended', 'failed'),
  generation: fc.integer({ min: 1 }),
  occupiedNodeId: orNull(id),
  requirements: fc.record({ cpus: fc.nat(), memoryMb: fc.nat(), labels }),
  publicKeys: fc.constant([key]),
  passwordHash: orNull(fc.constant('$6$canary$hash')),
  createdAt: date,
  endsAt: date,
  remainingSeconds: fc.double({ min: 0, max: 1e8, noNaN: true }),
  migratingSeconds: orNull(fc.nat()),
  waitingSince: orNull(date),
  activatedAt: orNull(date),
  endedAt: orNull(date),
  endReason: orNull(fc.constantFrom('expired', 'released')),
});
const placement: fc.Arbitrary<Placement> = fc.record({
  id,
  leaseId: id,
  nodeId: id,
  generation: fc.integer({ min: 1 }),
  current: fc.boolean(),
  state: fc.constantFrom('creating', 'present', 'wiping', 'wiped'),
  username: fc.constant('orn-abc'),
  uid: fc.nat(),
  attempts: fc.nat(),
  lastError: orNull(text),
  createdAt: date,
  presentAt: orNull(date),
  wipedAt: orNull(date),
});
const checkpoint: fc.Arbitrary<Checkpoint> = fc.record({
  leaseId: id,
  enabled: fc.boolean(),
  archives: fc.array(fc.record({ number: id, full: fc.boolean(), generation: id, bytes: fc.nat() })),
  lastAt: orNull(date),
  ageSeconds: orNull(fc.nat()),
  error: orNull(text),
});

/** Expects that a presented value matches its schema and that JSON loses nothing of it. */
function expectStable(schema: z.ZodType, presented: unknown): void {
  expect(schema.safeParse(presented).error?.message).toBeUndefined();
  const sent = JSON.parse(JSON.stringify(presented)) as unknown;
  expect(sent).toEqual(presented);
  expect(JSON.stringify(schema.parse(sent))).toBe(JSON.stringify(schema.parse(presented)));
}

describe('what is presented', () => {
  it('R15: a node is as documented, for users and for admins, and users learn nothing of where it is', () => {
    fc.assert(
      fc.property(node, fc.boolean(), (one, mine) => {
        expectStable(nodeAnswer, presentNode(one, mine));
        expectStable(nodeAnswer, presentNodeForAdmin(one));
        expect(Object.keys(presentNode(one, mine)).sort()).toEqual([
          'cpus',
          'free',
          'hostname',
          'id',
          'labels',
          'lease_id',
          'memory_mb',
          'status',
        ]);
        expect(mine || presentNode(one, mine).lease_id === null).toBe(true);
      }),
    );
  });

  it('R12: a lease is as documented, shows an access only where an account is, and never its password', () => {
    fc.assert(
      fc.property(
        fc.record({ lease, placement: orNull(placement), node: orNull(node), checkpoint: orNull(checkpoint) }) as fc.Arbitrary<LeaseView>,
        fc.boolean(),
        (view, only) => {
          const presented = presentLease(view, { host: 'gate.example', port: 2222, hostKeys: [key], only });
          expectStable(leaseAnswer, presented);
          expect(
            presented.access === null || (view.placement?.state === 'present' && view.node !== null && view.node.status !== 'dead'),
          ).toBe(true);
          expect(
            !only ||
              presented.access === null ||
              (presented.access.host === 'gate.example' && presented.access.username === `lease-${presented.id}`),
          ).toBe(true);
          expect(JSON.stringify(presented)).not.toContain('canary');
        },
      ),
    );
  });

  it('R10: an account is as documented', () => {
    const user = fc.record({
      id,
      username: fc.constant('ada'),
      role: fc.constantFrom('user' as const, 'admin' as const),
      maxLeases: fc.nat(),
      maxLeaseHours: fc.nat(),
      disabledAt: orNull(date),
      deletedAt: orNull(date),
      mustChangePassword: fc.boolean(),
      accessVersion: fc.nat(),
      createdAt: date,
    });
    fc.assert(fc.property(user, (one) => expectStable(userAnswer, presentUser(one))));
  });
});
