export { createTunnelHub, type TunnelHub } from './hub';
export { startRelay, type Relay } from './relay';
export { createTunnelDial, isTunnelAnswering } from './dial';
export { olderTokens, type OlderTokens } from './relay-tokens';
export {
  announceOwner,
  findOwnAddress,
  findTunnel,
  forgetTunnel,
  listTunnels,
  nextAnnouncement,
  recordTunnel,
  removeTunnel,
  sweepOwners,
  withdrawOwner,
} from './queries/tunnels';
export type { TunnelOwner } from './types';
