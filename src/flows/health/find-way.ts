import type { ClaimedProbe } from '../../modules/nodes';
import type { Prober, ProbeResult, Reach } from '../../ssh';

export interface ProbedWay extends ProbeResult {
  /** The transport that the result is about. The caller stores it if the outcome is `ok`. */
  reach: Reach;
  /** The direct transport was tried and failed. */
  directFailed: boolean;
}

/**
 * Probes a node over the transport that worked last, and over the other one if that fails. The direct transport is preferred: now and then
 * (`claim.directDue`) the function tries it for a node that is reached through its tunnel. Behind NAT, the address of a node may belong to
 * another machine. The host key of that machine is no evidence about the node.
 */
export async function probeSomeWay(prober: Prober, claim: ClaimedProbe): Promise<ProbedWay> {
  const { nodeId, address, sshPort: port, hostKey } = claim;
  const probe: Probe = (reach, awaitTunnel = true) => prober.probe({ nodeId, address, port, hostKey, reach, awaitTunnel });
  return claim.reach === 'direct' ? directFirst(claim, probe) : tunnelFirst(claim, probe);
}

type Probe = (reach: Reach, awaitTunnel?: boolean) => Promise<ProbeResult>;

async function directFirst({ tunnelled }: ClaimedProbe, probe: Probe): Promise<ProbedWay> {
  const direct = await probe('direct');
  if (direct.outcome === 'ok' || !tunnelled) {
    return { ...direct, reach: 'direct', directFailed: false };
  }
  // A machine that died has just lost its tunnel too, so the probe does not wait for a new tunnel.
  const tunnel = await probe('tunnel', false);
  return tunnel.outcome === 'failed'
    ? { ...direct, reach: 'direct', directFailed: false }
    : { ...tunnel, reach: 'tunnel', directFailed: true };
}

async function tunnelFirst({ tunnelled, directDue }: ClaimedProbe, probe: Probe): Promise<ProbedWay> {
  if (tunnelled) {
    const tunnel = await probe('tunnel');
    const direct = tunnel.outcome === 'ok' && directDue ? await probe('direct') : undefined;
    return direct?.outcome === 'ok'
      ? { ...direct, reach: 'direct', directFailed: false }
      : { ...tunnel, reach: 'tunnel', directFailed: direct !== undefined };
  }
  const [tunnel, direct] = await Promise.all([probe('tunnel'), probe('direct')]);
  return direct.outcome === 'ok' && tunnel.outcome === 'failed'
    ? { ...direct, reach: 'direct', directFailed: false }
    : { ...tunnel, reach: 'tunnel', directFailed: direct.outcome !== 'ok' };
}
