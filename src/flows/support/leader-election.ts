import type { Knex } from 'knex';
import type { Clock } from '../../lib/clock';
import { newClaimToken } from '../../lib/ids';
import type { Logger } from '../../lib/logger';
import type { SweepJob } from '../../modules/jobs';
import { handBackLeadership, type LeadershipClaim, takeLeadership } from '../../modules/scaling';

export interface ElectionDeps {
  db: Knex;
  clock: Clock;
  logger: Logger;
}

/** One process's part in a role that one at a time has. */
export interface LeaderElection {
  claim: LeadershipClaim;
  /** How often to call `keep`. */
  intervalMs: number;
  /** Takes the lead or renews it. Gives whether it is ours. */
  keep(): Promise<boolean>;
  /** As far as this process can know without asking: false once it was not renewed in time, whatever happened to the database. */
  holds(): boolean;
  handBack(): Promise<void>;
}

export const leadJob: SweepJob<{ lead: LeaderElection; onKept: (leads: boolean) => void }> = {
  name: 'lead',
  description: 'takes or keeps the lead of the autoscalers',
  period: ({ lead }) => lead.intervalMs / 1000,
  sweep: async ({ lead, onKept }) => {
    onKept(await lead.keep());
    return 'done';
  },
};

/** The claim lasts two thirds of the limit and is asked for four times in it, so that another one leads within the limit. */
export function createLeaderElection({ db, clock, logger }: ElectionDeps, { name, limitSeconds }: { name: string; limitSeconds: number }): LeaderElection {
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
