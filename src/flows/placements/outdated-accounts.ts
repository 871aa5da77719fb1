import type { SweepJob } from '../../modules/jobs';
import { refreshOutdatedAccounts } from '../../modules/leases';
import type { FlowContext } from '../support/context';
import { accessRule } from './account-access';

/** An account that another release or other settings of the gateway left outdated becomes due within this time. */
const PERIOD_SECONDS = 10;
const BATCH = 500;

export const outdatedAccountsJob: SweepJob<FlowContext> = {
  name: 'outdated-accounts',
  description: 'makes accounts due that another release made or prolonged, and whose keys or rules of access are behind',
  period: () => PERIOD_SECONDS,
  sweep: async ({ db, settings }) => ((await refreshOutdatedAccounts(db, accessRule(settings), BATCH)) === BATCH ? 'more' : 'done'),
};
