import { createLeaseDirectory } from '../flows/leases/lease-directory';
import { publicKeyOf } from '../ssh';
import { type GatewayMeter, startGateway as openGateway } from '../ssh/gateway';
import { type ControlPlane, createFlowContext } from './control-plane';
import type { RunningRole } from './role';

/** Time for open gateway sessions (a copy, a command) to finish when the process stops. A shell must be opened again. */
const CLOSE_LIMIT_MS = 20_000;

/** Seconds before the end of a lease at which its shells are warned: time to save work, and to log out. */
const WARN_SECONDS = [600, 60];
/** Connections to one lease through one gateway, of ten channels each: far more than a person opens, and too few to fill the gateway. */
const MAX_CONNECTIONS_PER_LEASE = 20;

/** Starts an SSH server in front of all leases. Any number of gateways may run, with the same keys. */
export async function startGateway(plane: ControlPlane): Promise<RunningRole> {
  const {
    clock,
    config: { gateway },
    dial,
    logger,
    metrics,
    readiness,
  } = plane;
  const meter: GatewayMeter = {
    login: (result) => metrics.gatewayLogins.inc({ result }),
    connections: (change) => metrics.gatewayConnections.inc(change),
  };
  const directory = createLeaseDirectory(createFlowContext(plane, 'gateway'));
  const settings = { ...gateway, ...keysOf(gateway), warnSeconds: WARN_SECONDS, maxConnectionsPerLease: MAX_CONNECTIONS_PER_LEASE };
  const running = await openGateway({ settings, directory, dial, clock, logger, meter }, gateway);
  metrics.beforeScrape.add(() => {
    metrics.gatewayBytes.reset();
    const { received, sent } = running.traffic();
    metrics.gatewayBytes.inc({ direction: 'received' }, received);
    metrics.gatewayBytes.inc({ direction: 'sent' }, sent);
  });
  directory.start();
  logger.info('gateway listening', { host: gateway.host, port: running.port });
  return {
    stop: async () => {
      await running.close(readiness.stopping.aborted ? CLOSE_LIMIT_MS : 0);
      await directory.stop();
    },
  };
}

function keysOf({ hostKeys, privateKey, publicKey }: ControlPlane['config']['gateway']): { hostKeys: string[]; privateKey: string } {
  if (privateKey === undefined || hostKeys.length === 0) {
    throw new Error('a gateway needs ORION_GATEWAY_KEY_FILE and ORION_GATEWAY_HOST_KEY_FILE (scripts/init-secrets.sh makes both)');
  }
  if (publicKeyOf(privateKey) !== publicKey) {
    throw new Error(
      'ORION_GATEWAY_PUBLIC_KEY is not the public half of ORION_GATEWAY_KEY: the accounts on the nodes would not let the gateway in',
    );
  }
  return { hostKeys, privateKey };
}
