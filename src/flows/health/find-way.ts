import type { ClaimedProbe } from '../../modules/nodes';
import type { Prober, ProbeResult, Reach } from '../../ssh';

export interface ProbedWay extends ProbeResult {
  /** The way that the result is about; to be remembered when it is ok. */
  reach: Reach;
  /** The direct way was tried in vain. */
  directFailed: boolean;
}

/**
 * Probes a node over the way that worked last, and over the other one when that fails. Direct is preferred: a node that is reached through its tunnel is
 * tried directly now and then (`claim.directDue`). At the address of a node behind NAT another machine may live, whose host key says nothing of the node.
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
  // A machine that died has just lost its tunnel as well: nobody waits for the next one.
  const tunnel = await probe('tunnel', false);
  return tunnel.outcome === 'failed' ? { ...direct, reach: 'direct', directFailed: false } : { ...tunnel, reach: 'tunnel', directFailed: true };
}

async function tunnelFirst({ tunnelled, directDue }: ClaimedProbe, probe: Probe): Promise<ProbedWay> {
  if (tunnelled) {
    const tunnel = await probe('tunnel');
    const direct = tunnel.outcome === 'ok' && directDue ? await probe('direct') : undefined;
    return direct?.outcome === 'ok' ? { ...direct, reach: 'direct', directFailed: false } : { ...tunnel, reach: 'tunnel', directFailed: direct !== undefined };
  }
  const [tunnel, direct] = await Promise.all([probe('tunnel'), probe('direct')]);
  return direct.outcome === 'ok' && tunnel.outcome === 'failed'
    ? { ...direct, reach: 'direct', directFailed: false }
    : { ...tunnel, reach: 'tunnel', directFailed: direct.outcome !== 'ok' };
}
