import { type SshTarget, sshOptions, launchWorkers, type Worker } from '../../test/lab';
import type { Lease } from '../../src/contract';
import { throughGateway } from '../../test/support/gateway-client';
import { startSystem, type System } from '../../test/support/system';
import type { Tenant } from '../../test/support/tenant';

/** One way into an account. */
export interface Way {
  target: SshTarget;
  /** What OpenSSH has to be told beside the target. */
  options: string[];
  /** The machine at its end, and the account there. */
  worker: Worker;
  username: string;
}

/**
 * Two leases of one tenant and the ways to them. To a machine that Orion reaches by its tunnel: OpenSSH alone (`direct`), by way of another
 * sshd as with `ssh -J` (`jump`), through the gateway (`tunnel`). To one that Orion dials directly: through the gateway (`plain`).
 */
export interface Site {
  system: System;
  ways: Record<'direct' | 'jump' | 'tunnel' | 'plain', Way>;
}

/** Nobody listens there. */
const NOWHERE = '127.0.99.99';

export async function openSite(): Promise<Site> {
  const system = await startSystem({ apis: 1, schedulers: 1, ownDatabase: true, gateway: true });
  try {
    const gateway = await system.startGateway();
    const [hidden] = (await system.launchWorkers(1, { labels: { reach: 'tunnel' }, agentEnv: { MY_ADDRESS: NOWHERE } })).workers;
    const [open] = (await system.launchWorkers(1, { labels: { reach: 'direct' } })).workers;
    const [between] = (await launchWorkers(system.lab, 1)).workers;
    if (!hidden || !open || !between) {
      throw new Error('no workers');
    }
    await system.untilFree(2, 120_000);
    const tenant = await system.tenant();
    const rent = (reach: string): Promise<Lease> => tenant.rentOne({ seconds: 7200, requirements: { labels: { 'node/reach': reach } } });
    const [far, near] = [await rent('tunnel'), await rent('direct')];
    await between.authorizeRoot(tenant.publicKey);
    const direct = wayTo(hidden, far, {
      address: hidden.address,
      port: hidden.port,
      user: nameIn(far),
      hostKey: hidden.hostKey,
      keyFile: tenant.keyFile,
    });
    return {
      system,
      ways: {
        direct,
        jump: { ...direct, options: ['-o', `ProxyCommand=${jumpOver(between, tenant)}`] },
        tunnel: wayTo(hidden, far, throughGateway(tenant, far, gateway)),
        plain: wayTo(open, near, throughGateway(tenant, near, gateway)),
      },
    };
  } catch (error) {
    await system.close();
    throw error;
  }
}

const nameIn = ({ access }: Lease): string => access?.username ?? '';
const wayTo = (worker: Worker, lease: Lease, target: SshTarget): Way => ({ target, options: [], worker, username: nameIn(lease) });

/** What `ssh -J` runs, with the jump host's key pinned too (`-J` itself hands on no such option). */
function jumpOver({ address, port, hostKey }: Worker, { keyFile }: Tenant): string {
  const options = sshOptions({ address, port, user: 'root', hostKey, keyFile }).map((word) => (/[ "]/.test(word) ? `'${word}'` : word));
  return ['ssh', ...options, '-W', '%h:%p', `root@${address}`].join(' ');
}
