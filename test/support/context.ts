import type { Knex } from 'knex';
import type { FlowSettings, WorkContext } from '../../src/flows/support/context';
import { systemClock } from '../../src/lib/clock';
import { silentLogger } from '../../src/lib/logger';
import type { Provisioner } from '../../src/modules/provisioning';
import { createMetrics } from '../../src/modules/telemetry';

/** Settings of the flows. Claims outlast any test, so a claim expires only when a test makes it expire. */
export const testSettings: FlowSettings = {
  claimSeconds: 30,
  rentWaitSeconds: 10,
  health: { deadAfterFailures: 3, intervalSeconds: 30, suspectIntervalSeconds: 5 },
  maxWipeFailures: 5,
  maxProvisionFailures: 3,
  retry: { firstSeconds: 5, maxSeconds: 300 },
  migrateIntervalSeconds: 10,
  heartbeatOverdueSeconds: 25,
  maxPendingNodes: 1000,
  outageSeconds: 10,
  historyDays: 400,
  uids: { first: 70_000, last: 2_000_000_000 },
  gatewayKey: null,
  gatewayOnly: false,
  checkpoints: null,
  jobs: { watchSeconds: 2, expireSeconds: 5, workSeconds: 1, playsClaimed: 8, probesAtOnce: 32 },
};

/** Creates the context that flows get, with a silent logger. */
export function createTestContext(db: Knex, provisioner: Provisioner, settings: Partial<FlowSettings> = {}): WorkContext {
  return {
    db,
    provisioner,
    homes: null,
    clock: systemClock,
    logger: silentLogger,
    metrics: createMetrics(),
    actor: 'test',
    settings: { ...testSettings, ...settings },
  };
}
