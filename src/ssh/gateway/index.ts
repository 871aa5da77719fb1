export { startGateway } from './server';
export { type Forwarding, type GatewayMeter, type GatewaySettings, type LeaseDirectory, type Whereabouts } from './types';
