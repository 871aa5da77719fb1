import type { SweepJob } from '../../modules/jobs';
import { refreshOutdatedAccounts } from '../../modules/leases';
import type { FlowContext } from '../support/context';

/** An account that another release left outdated becomes due within this time. */
const PERIOD_SECONDS = 10;
const BATCH = 500;

export const outdatedAccountsJob: SweepJob<FlowContext> = {
  name: 'outdated-accounts',
  description: 'makes accounts due that another release made or prolonged, and whose keys are behind',
  period: () => PERIOD_SECONDS,
  sweep: async ({ db }) => ((await refreshOutdatedAccounts(db, BATCH)) === BATCH ? 'more' : 'done'),
};
