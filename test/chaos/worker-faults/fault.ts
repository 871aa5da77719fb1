import { systemClock } from '../../../src/lib/clock';
import type { LeaseDetail } from '../../../src/contract';
import type { OpenSession } from '../../support/tenant';
import type { Random } from '../random';
import { type Stage, type Struck, WITHIN } from './stage';

/** Something that goes wrong with a machine or with a part of the control plane. */
export interface Fault {
  name: string;
  /** Inflicts it, awaits what is promised, and mends what it broke. Throws with what did not hold. */
  carryOut(stage: Stage, random: Random): Promise<void>;
}

export function mustBe(what: string, actual: unknown, wanted: unknown): void {
  if (actual !== wanted) {
    throw new Error(`${what} is ${String(actual)} instead of ${String(wanted)}`);
  }
}

/**
 * R21: the lease is active elsewhere at the next generation, with the same end, and its login works there. Some are extended on the way.
 */
export async function mustMove(
  stage: Stage,
  { lease, nodeId }: Struck,
  random: Random,
  begun = systemClock.monotonicMs(),
): Promise<LeaseDetail> {
  const { subject } = stage;
  const extended = random.chance(0.3) ? await stage.extend(lease, `on-the-way-${lease.id}`) : undefined;
  if (extended) {
    mustBe(`the extended end of lease ${lease.id}`, Date.parse(extended.ends_at), Date.parse(lease.ends_at) + 60_000);
  }
  const isElsewhere = ({ state, generation, access }: LeaseDetail): boolean =>
    state === 'active' && generation > lease.generation && access !== null;
  const moved = await subject.untilLease(lease.id, 'is active elsewhere', isElsewhere, WITHIN.move);
  mustBe(`the generation of lease ${lease.id}`, moved.generation, lease.generation + 1);
  mustBe(`the end of lease ${lease.id}`, moved.ends_at, (extended ?? lease).ends_at);
  if (moved.node?.id === nodeId) {
    throw new Error(`lease ${lease.id} was moved to the node that it left`);
  }
  await mustLogIn(stage, moved);
  stage.moves.push((systemClock.monotonicMs() - begun) / 1000);
  return moved;
}

/** The lease is active where it was, at the same generation, and its login works. */
export async function mustStay(stage: Stage, { lease, nodeId }: Struck): Promise<void> {
  const after = await stage.subject.untilLease(
    lease.id,
    'is active',
    ({ state, access }) => state === 'active' && access !== null,
    WITHIN.move,
  );
  mustBe(`the node of lease ${lease.id}`, after.node?.id, nodeId);
  mustBe(`the generation of lease ${lease.id}`, after.generation, lease.generation);
  mustBe(`the end of lease ${lease.id}`, after.ends_at, lease.ends_at);
  await mustLogIn(stage, after);
}

export async function mustLogIn({ subject }: Stage, lease: LeaseDetail): Promise<void> {
  const { code, stdout, stderr } = await subject.login(lease, 'id -un', { timeoutMs: 30_000 });
  if (code !== 0 || stdout.trim() !== lease.access?.username) {
    throw new Error(
      `the login to lease ${lease.id} (${lease.state}, generation ${lease.generation}) ended with ${code ?? 'a signal'}: ${stderr.slice(-300)}`,
    );
  }
}

export function mustBeOpen(session: OpenSession, what: string): void {
  const open = session.isOpen();
  session.close();
  if (!open) {
    throw new Error(`the tenant's session was cut by ${what}`);
  }
}
