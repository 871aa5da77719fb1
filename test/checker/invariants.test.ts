import { describe, expect, it } from '@jest/globals';
import type { Evidence, LeaseRecord, NodeRecord, PlacementRecord } from './evidence';
import { checkInvariants } from './invariants';

const T = 1_000_000;

const lease = (change: Partial<LeaseRecord> = {}): LeaseRecord => ({
  id: 1,
  rentId: 1,
  userId: 7,
  state: 'active',
  generation: 1,
  occupiedNodeId: 1,
  createdAt: T,
  endsAt: T + 60_000,
  dueAt: null,
  endedAt: null,
  endReason: null,
  ...change,
});
const placement = (change: Partial<PlacementRecord> = {}): PlacementRecord => ({
  id: 1,
  leaseId: 1,
  nodeId: 1,
  generation: 1,
  currentLeaseId: 1,
  state: 'present',
  username: 'orn-a',
  uid: 70_000,
  accessWanted: 1,
  createdAt: T,
  wipedAt: null,
  ...change,
});
const node = (change: Partial<NodeRecord> = {}): NodeRecord => ({
  id: 1,
  hostname: 'n',
  status: 'alive',
  drained: false,
  dirty: false,
  leasable: false,
  leaseId: 1,
  wipedAt: T - 1,
  lastCheckedAt: T + 1_000,
  loggedInAt: T + 1_000,
  hostKey: 'ssh-ed25519 pinned',
  firstFailedAt: null,
  lastDeathAt: null,
  ...change,
});
const event = (
  id: number,
  type: string,
  change: { at?: number; leaseId?: number; nodeId?: number; data?: Record<string, unknown> } = {},
): Evidence['tables']['events'][number] => ({
  id,
  type,
  at: change.at ?? T - 1_000 + id,
  leaseId: change.leaseId ?? null,
  nodeId: change.nodeId ?? null,
  data: change.data ?? {},
});

/** One lease, active on node 1; node 2 is free. Nothing is wrong with it. */
const sound = (): Evidence => ({
  tables: {
    now: T + 2_000,
    leases: [lease()],
    placements: [placement()],
    nodes: [node(), node({ id: 2, leasable: true, leaseId: null })],
    rents: [{ id: 1, userId: 7, idempotencyKey: 'k' }],
    extensions: [],
    events: [
      event(1, 'node.registered', { nodeId: 1 }),
      event(2, 'node.alive', { nodeId: 1 }),
      event(3, 'node.wiped', { nodeId: 1 }),
      event(4, 'lease.requested', { at: T, leaseId: 1, nodeId: 1, data: { duration_seconds: 60 } }),
      event(5, 'lease.active', { at: T + 500, leaseId: 1, nodeId: 1, data: { generation: 1 } }),
      event(6, 'node.alive', { nodeId: 2 }),
      event(7, 'node.wiped', { nodeId: 2 }),
    ],
    uidBlocks: [
      { first: 69_952, nodeId: 1 },
      { first: 70_016, nodeId: 2 },
      { first: 70_080, nodeId: null },
    ],
    controlPlane: { lastTickAt: T + 1_900, judgedSince: T - 90_000, breakerSince: null },
    uniqueKeys: [
      'leases(occupied_node_id)',
      'placements(current_lease_id)',
      'placements(lease_id,generation)',
      'placements(node_id,uid)',
      'rents(user_id,idempotency_key)',
      'extensions(lease_id,idempotency_key)',
    ],
  },
  history: [
    {
      kind: 'rent',
      userId: 7,
      leaseId: null,
      key: 'k',
      outcome: 'ok',
      leases: [{ id: 1, endsAt: T + 60_000 }],
      invokedAt: T,
      returnedAt: T + 1_000,
    },
  ],
  nodes: [
    { nodeId: 1, at: T, accounts: [{ username: 'orn-a', uid: 70_000 }], strayUids: [70_000] },
    { nodeId: 2, at: T, accounts: [], strayUids: [] },
  ],
  stored: [{ leaseId: 1, files: ['0000000001-full.tar.age'] }],
});

const tablesOf = (evidence: Evidence): Evidence['tables'] => evidence.tables;

/** Each breaks one thing in the sound state; the invariant that has to notice comes first. */
const FAULTS: [string, string, (evidence: Evidence) => void][] = [
  ['I1', 'two leases on one node', (e) => tablesOf(e).leases.push(lease({ id: 2, rentId: 1 }))],
  ['I1', 'the node names another lease', (e) => Object.assign(tablesOf(e).nodes[0] ?? {}, { leaseId: 9 })],
  ['I1', 'a lease that is over still holds a node', (e) => Object.assign(tablesOf(e).leases[0] ?? {}, { state: 'ended' })],
  [
    'I1',
    'a placement begun before the one before was wiped',
    (e) =>
      tablesOf(e).placements.push(
        placement({ id: 2, leaseId: 3, currentLeaseId: null, state: 'wiped', uid: 70_001, createdAt: T + 10, wipedAt: T + 20 }),
      ),
  ],
  ['I2', 'two current placements', (e) => tablesOf(e).placements.push(placement({ id: 2, generation: 2, nodeId: 2, createdAt: T + 1 }))],
  ['I2', 'no current placement', (e) => Object.assign(tablesOf(e).placements[0] ?? {}, { currentLeaseId: null })],
  ['I2', 'a generation left out', (e) => Object.assign(tablesOf(e).placements[0] ?? {}, { generation: 2 })],
  [
    'I2',
    'a uid used twice on a node',
    (e) =>
      tablesOf(e).placements.push(
        placement({ id: 2, leaseId: 3, currentLeaseId: null, state: 'wiped', createdAt: T - 50, wipedAt: T - 40 }),
      ),
  ],
  ['I2', 'a uid out of the block of another node', (e) => Object.assign(tablesOf(e).placements[0] ?? {}, { uid: 70_020 })],
  [
    'I2',
    'a uid on two nodes',
    (e) =>
      tablesOf(e).placements.push(
        placement({ id: 2, leaseId: 3, nodeId: 2, currentLeaseId: null, state: 'wiped', createdAt: T - 50, wipedAt: T - 40 }),
      ),
  ],
  ['I3', 'an acknowledged lease is gone', (e) => e.history[0]?.leases.push({ id: 5, endsAt: T })],
  ['I3', "an acknowledged lease is another user's", (e) => Object.assign(e.history[0] ?? {}, { userId: 8 })],
  [
    'I2',
    'a claim completed twice',
    (e) => tablesOf(e).events.push(event(20, 'placement.refreshed', { leaseId: 1, nodeId: 1, data: { generation: 1 } })),
  ],
  [
    'I2',
    'a schema that would take a uid twice',
    (e) => Object.assign(e.tables, { uniqueKeys: tablesOf(e).uniqueKeys.filter((key) => key !== 'placements(node_id,uid)') }),
  ],
  [
    'I1',
    'a schema that would take two leases on one node',
    (e) => Object.assign(e.tables, { uniqueKeys: tablesOf(e).uniqueKeys.slice(1) }),
  ],
  [
    'I3',
    'released by another',
    (e) =>
      e.history.push({
        kind: 'release',
        userId: 8,
        leaseId: 1,
        key: null,
        outcome: 'ok',
        leases: [{ id: 1, endsAt: T + 60_000 }],
        invokedAt: T,
        returnedAt: T,
      }),
  ],
  [
    'I3',
    'shown to another',
    (e) =>
      e.history.push({
        kind: 'look',
        userId: 8,
        leaseId: null,
        key: null,
        outcome: 'ok',
        leases: [{ id: 1, endsAt: T + 60_000 }],
        invokedAt: T,
        returnedAt: T,
      }),
  ],
  [
    'I3',
    'one key, two answers',
    (e) => e.history.push({ kind: 'rent', userId: 7, leaseId: null, key: 'k', outcome: 'ok', leases: [], invokedAt: T, returnedAt: T }),
  ],
  ['I3', 'one key, two rents', (e) => tablesOf(e).rents.push({ id: 2, userId: 7, idempotencyKey: 'k' })],
  ['I3', 'more rents than were asked for', (e) => tablesOf(e).rents.push({ id: 2, userId: 7, idempotencyKey: null })],
  [
    'I3',
    'one key extended twice',
    (e) => {
      e.history.push({ kind: 'extend', userId: 7, leaseId: 1, key: 'x', outcome: 'unknown', leases: [], invokedAt: T, returnedAt: T });
      tablesOf(e).extensions.push(
        { id: 1, leaseId: 1, idempotencyKey: null, endsBefore: T + 60_000, endsAfter: T + 61_000, at: T },
        { id: 2, leaseId: 1, idempotencyKey: null, endsBefore: T + 61_000, endsAfter: T + 62_000, at: T },
      );
    },
  ],
  ['I4', 'the end moved by itself', (e) => Object.assign(tablesOf(e).leases[0] ?? {}, { endsAt: T + 99_000 })],
  [
    'I4',
    'an extension that does not begin at the end',
    (e) => tablesOf(e).extensions.push({ id: 1, leaseId: 1, idempotencyKey: null, endsBefore: T + 1, endsAfter: T + 60_000, at: T }),
  ],
  [
    'I4',
    'extended after the end',
    (e) =>
      tablesOf(e).extensions.push({
        id: 1,
        leaseId: 1,
        idempotencyKey: null,
        endsBefore: T + 60_000,
        endsAfter: T + 60_000,
        at: T + 70_000,
      }),
  ],
  [
    'I4',
    'expired before the end',
    (e) => tablesOf(e).events.push(event(9, 'lease.ending', { at: T + 5, leaseId: 1, data: { reason: 'expired' } })),
  ],
  [
    'I4',
    'a client was promised more',
    (e) =>
      e.history.push({
        kind: 'extend',
        userId: 7,
        leaseId: 1,
        key: null,
        outcome: 'ok',
        leases: [{ id: 1, endsAt: T + 70_000 }],
        invokedAt: T,
        returnedAt: T,
      }),
  ],
  ['I5', 'a dirty node is free', (e) => Object.assign(tablesOf(e).nodes[1] ?? {}, { dirty: true })],
  [
    'I5',
    'a node is free with a placement on it',
    (e) => tablesOf(e).placements.push(placement({ id: 2, leaseId: 3, nodeId: 2, currentLeaseId: null, state: 'wiping' })),
  ],
  ['I5', 'a free node was never wiped', (e) => Object.assign(tablesOf(e).nodes[1] ?? {}, { wipedAt: null })],
  ['I6', 'leased after a death without a wipe', (e) => tablesOf(e).events.push(event(20, 'node.dead', { nodeId: 1, at: T - 1 }))],
  [
    'I6',
    'free after a death without a wipe',
    (e) => tablesOf(e).events.push(event(20, 'node.dead', { nodeId: 2 }), event(21, 'node.alive', { nodeId: 2 })),
  ],
  ['I7', 'an account for no lease', (e) => e.nodes?.[1]?.accounts.push({ username: 'orn-z', uid: 70_009 })],
  ['I7', 'the account of an active lease is missing', (e) => Object.assign(e.nodes?.[0] ?? {}, { accounts: [] })],
  ['I7', 'a process of a former tenant', (e) => e.nodes?.[1]?.strayUids.push(70_003)],
  ['I7', 'an account long after the end', (e) => Object.assign(e.tables, { now: T + 999_000 })],
  [
    'I7',
    'checkpoints of a lease long after its end',
    (e) => {
      Object.assign(tablesOf(e), { now: T + 999_000 });
      tablesOf(e).leases.push(lease({ id: 3, state: 'ended', occupiedNodeId: null, endsAt: T + 1, endedAt: T + 1 }));
      Object.assign(e, { stored: [{ leaseId: 3, files: ['0000000001-full.tar.age'] }] });
    },
  ],
  ['I7', 'checkpoints of a lease that nobody knows', (e) => Object.assign(e, { stored: [{ leaseId: 9, files: [] }] })],
  [
    'I8',
    'moved off a node that was well',
    (e) => tablesOf(e).events.push(event(30, 'lease.moved', { leaseId: 1, nodeId: 2, data: { from_node: 1 } })),
  ],
  [
    'I8',
    'moved under the brake',
    (e) =>
      tablesOf(e).events.push(
        event(30, 'node.dead', { nodeId: 2 }),
        event(31, 'fleet.brake_on'),
        event(32, 'lease.moved', { leaseId: 1, nodeId: 1, data: { from_node: 2 } }),
      ),
  ],
  [
    'I8',
    'moved while most of the fleet fails and no breaker is open',
    (e) =>
      tablesOf(e).events.push(
        ...[1, 3, 4].map((nodeId) => event(30 + nodeId, 'node.suspect', { nodeId, at: T })),
        event(40, 'node.dead', { nodeId: 1, at: T + 5_000 }),
        event(41, 'lease.moved', { leaseId: 1, nodeId: 2, at: T + 5_001, data: { from_node: 1 } }),
      ),
  ],
  [
    'I8',
    'dead by failures from before an outage',
    (e) => {
      Object.assign(tablesOf(e).nodes[1] ?? {}, { status: 'dead', leasable: false, firstFailedAt: T - 20_000, lastDeathAt: T });
      Object.assign(tablesOf(e).controlPlane, { judgedSince: T - 10_000 });
    },
  ],
  [
    'I9',
    'something to be wiped on a clean node',
    (e) =>
      tablesOf(e).placements.push(placement({ id: 2, leaseId: 3, nodeId: 2, currentLeaseId: null, state: 'wiping', createdAt: T - 500 })),
  ],
  ['I9', 'free although the last wipe failed', (e) => tablesOf(e).events.push(event(40, 'node.wipe_failed', { nodeId: 2 }))],
  ['I10', 'a well node that nobody checks', (e) => Object.assign(tablesOf(e).nodes[1] ?? {}, { lastCheckedAt: T - 200_000 })],
  [
    'I10',
    'a lease that waits behind a broken one',
    (e) => Object.assign(tablesOf(e).leases[0] ?? {}, { state: 'migrating', dueAt: T - 30_000 }),
  ],
  [
    'trust',
    'an entry of the audit log that is not of its event',
    (e) => Object.assign(tablesOf(e), { sealed: [{ seq: 4, leaf: 'AB', hash: 'CD' }] }),
  ],
  [
    'trust',
    'a node in service with another key than the pinned one',
    (e) => Object.assign(e, { hostKeys: [{ nodeId: 1, at: T, hostKey: 'ssh-ed25519 another' }] }),
  ],
];

describe('the checker', () => {
  it('finds nothing wrong with a sound state', () => {
    expect(checkInvariants(sound())).toEqual([]);
  });

  it.each(FAULTS)('%s: notices %s', (invariant, _name, plant) => {
    const evidence = sound();
    plant(evidence);
    expect(checkInvariants(evidence).map((violation) => violation.invariant)).toContain(invariant);
  });
});
