import { fingerprintOf } from '../../lib/host-key';
import type { AccountSpec } from '../../modules/provisioning';
import type { FlowSettings } from '../support/context';

type GatewaySettings = Pick<FlowSettings, 'gatewayKey' | 'gatewayOnly'>;

/** The keys and the password of a lease. Keys undefined: its owner is disabled, and nothing opens the account. */
interface LeaseAccess {
  keys: string[] | undefined;
  passwordHash: string | null;
}

/** Returns what opens the account of a lease on its node. */
export function accountAccess(
  { keys, passwordHash }: LeaseAccess,
  { gatewayKey, gatewayOnly }: GatewaySettings,
): Pick<AccountSpec, 'publicKeys' | 'passwordHash'> {
  if (keys === undefined) {
    return { publicKeys: [], passwordHash: null };
  }
  const gatewayKeys = gatewayKey === null ? [] : [gatewayKey];
  return gatewayOnly ? { publicKeys: gatewayKeys, passwordHash: null } : { publicKeys: [...keys, ...gatewayKeys], passwordHash };
}

/** Names the settings that decide about access. An account that was made under another rule is outdated. */
export const accessRule = ({ gatewayKey, gatewayOnly }: GatewaySettings): string =>
  gatewayKey === null ? '' : `${fingerprintOf(gatewayKey)}${gatewayOnly ? ' only' : ''}`;
