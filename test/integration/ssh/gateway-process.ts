import { readFileSync } from 'node:fs';
import { systemClock } from '../../../src/lib/clock';
import { silentLogger } from '../../../src/lib/logger';
import { causeOf } from '../../../src/lib/origin';
import { dialDirectly } from '../../../src/ssh';
import { type GatewaySettings, startGateway, type Whereabouts } from '../../../src/ssh/gateway';

/** What a gateway of the tests is told: whose key opens which lease, and where that is. */
export interface GatewayPlan {
  settings: GatewaySettings;
  leases: Record<string, { key: string; at: Whereabouts }>;
}

/**
 * The real gateway in a process of its own, so that its memory is its own and a hang of it is seen; only what it is told of leases stands
 * in a file.
 */
const { settings, leases } = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as GatewayPlan;
const { port } = await startGateway(
  {
    settings,
    dial: dialDirectly,
    clock: systemClock,
    logger: silentLogger,
    meter: { login: () => undefined, connections: () => undefined },
    directory: {
      keysOf: (id) => Promise.resolve(leases[id] ? [leases[id].key] : []),
      causeOf: () => Promise.resolve(causeOf(null)),
      watch: ({ leaseId: id }, listener) => {
        listener(leases[id]?.at ?? { state: 'over', why: 'is over' });
        return () => undefined;
      },
      suspect: () => undefined,
      connected: () => Promise.resolve(),
      disconnected: () => Promise.resolve(),
    },
  },
  { host: '127.0.0.1', port: 0 },
);
process.stdout.write(`port ${port}\n`);
