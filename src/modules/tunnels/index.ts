export { createTunnelHub, type TunnelHub } from './hub';
export { startRelay, type Relay } from './relay';
export { createTunnelDial, isTunnelAnswering } from './dial';
export { olderTokens, type OlderTokens } from './relay-tokens';
export { announceHolder, findOwnAddress, findTunnel, forgetTunnel, listTunnels, nextAnnouncement, recordTunnel, removeTunnel, sweepHolders, withdrawHolder } from './queries/tunnels';
export type { TunnelHolder } from './types';
