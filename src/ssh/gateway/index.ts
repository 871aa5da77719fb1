export { startGateway, type Gateway, type GatewayDeps } from './server';
export { EXIT_LEASE_OVER, EXIT_NODE_LOST, type Forwarding, type GatewayMeter, type GatewaySettings, type LeaseDirectory, type Visitor, type Whereabouts } from './types';
