import type { Knex } from 'knex';
import type { Clock } from '../../lib/clock';
import { newClaimToken } from '../../lib/ids';
import type { Logger } from '../../lib/logger';
import { handBackLeadership, type LeadershipClaim, type SweepJob, takeLeadership } from '../../modules/jobs';
import type { Metrics } from '../../modules/telemetry';

export interface ElectionDeps {
  db: Knex;
  clock: Clock;
  logger: Logger;
}

/** A candidate for the leadership of a role. */
export interface LeaderElection {
  claim: LeadershipClaim;
  /** How often to call `keep`. */
  intervalMs: number;
  /** Takes or renews the leadership. Returns whether this process is the leader. */
  keep(): Promise<boolean>;
  /**
   * Whether this process is the leader, as far as it knows without a query. False once the claim was not renewed in time, even if the
   * database is away.
   */
  holds(): boolean;
  handBack(): Promise<void>;
}

export const leadJob: SweepJob<{ lead: LeaderElection; metrics: Metrics }> = {
  name: 'lead',
  description: 'takes or keeps the lead of the autoscalers',
  period: ({ lead }) => lead.intervalMs / 1000,
  sweep: async ({ lead, metrics }) => {
    metrics.scaleLeads.set((await lead.keep()) ? 1 : 0);
    return 'done';
  },
};

/**
 * Creates a candidate. The claim lasts two thirds of the limit and is renewed four times within the limit. After a failure of the leader,
 * another process leads within the limit.
 */
export function createLeaderElection(
  { db, clock, logger }: ElectionDeps,
  { name, limitSeconds }: { name: string; limitSeconds: number },
): LeaderElection {
  const claim = { name, token: newClaimToken() };
  const lastsSeconds = (limitSeconds * 2) / 3;
  let untilMs = -Infinity;
  const holds = (): boolean => clock.monotonicMs() < untilMs;
  return {
    claim,
    intervalMs: (limitSeconds * 1000) / 4,
    holds,
    keep: async () => {
      const [before, askedAtMs] = [holds(), clock.monotonicMs()];
      const ours = await takeLeadership(db, claim, lastsSeconds);
      untilMs = ours ? askedAtMs + lastsSeconds * 1000 : -Infinity;
      if (ours !== before) {
        logger.info(ours ? 'leading' : 'another one leads', { lead: name });
      }
      return ours;
    },
    handBack: async () => {
      untilMs = -Infinity;
      await handBackLeadership(db, claim);
    },
  };
}
