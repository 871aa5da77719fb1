import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeInspection, Violation } from '../checker/evidence';
import { inspectNode } from '../checker/inspect-nodes';
import { generateSshKeyPair, type WorkerFleet } from '../lab';
import type { History } from '../support/history';
import { instantNodesDir } from '../support/replica';
import type { System } from '../support/system';

/** Looks at the tables as a user who may only SELECT, at the clients' histories, and at the nodes with a key of its own. */
export interface Judge {
  violations(): Promise<Violation[]>;
}

const UIDS = { firstUid: 70_000, lastUid: 1_000_000 };

/** @param fleet the nodes that are looked into over SSH; without one the folders that instant plays left are looked at */
export async function appointJudge(system: System, { history, fleet }: { history: History; fleet?: WorkerFleet }): Promise<Judge> {
  const look = fleet ? await lookBySsh(system, fleet) : () => Promise.resolve(lookAtFolders(instantNodesDir(system.lab)));
  return {
    // The nodes last: an account that is on its way out by the tables is still a placement there.
    violations: async () => {
      const nodes = await look();
      return system.violations({ history: history.operations, nodes });
    },
  };
}

async function lookBySsh(system: System, fleet: WorkerFleet): Promise<() => Promise<NodeInspection[]>> {
  const { keyFile, publicKey } = await generateSshKeyPair(system.lab.dir, 'checker');
  const inspector = { user: 'root', keyFile, ...UIDS };
  return async () => {
    const seen: NodeInspection[] = [];
    for (const { id: nodeId, hostname, status } of await system.nodes()) {
      const worker = fleet.workers.find(({ name }) => name === hostname);
      if (worker && status === 'alive') {
        await worker.authorizeRoot(publicKey);
        const inspection = await inspectNode(inspector, { nodeId, address: worker.address, port: worker.port, hostKey: worker.hostKey }, Date.now());
        seen.push(...(inspection ? [inspection] : []));
      }
    }
    return seen;
  };
}

function lookAtFolders(dir: string): NodeInspection[] {
  return (existsSync(dir) ? readdirSync(dir) : []).map((name) => {
    const accounts = readdirSync(join(dir, name)).filter((file) => file.startsWith('orn-'));
    return {
      nodeId: Number(name.slice('node-'.length)),
      at: Date.now(),
      accounts: accounts.map((username) => ({ username, uid: Number(readFileSync(join(dir, name, username), 'utf8')) })),
      strayUids: [],
    };
  });
}
