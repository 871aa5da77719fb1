import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Evidence, NodeInspection, ShownKey, Violation } from '../checker/evidence';
import { askHostKey, inspectNode } from '../checker/inspect-nodes';
import { eventually, generateSshKeyPair, type WorkerFleet } from '../lab';
import type { History } from '../support/history';
import { instantNodesDir } from '../support/replica';
import type { System } from '../support/system';

/** Looks at the tables as a user who may only SELECT, at the clients' histories, and at the nodes with a key of its own. */
export interface Judge {
  violations(): Promise<Violation[]>;
}

type Sight = Pick<Evidence, 'nodes' | 'hostKeys'>;

const UIDS = { firstUid: 70_000, lastUid: 2_000_000_000 };

/** @param fleet the nodes that are looked into over SSH; without one the folders that instant plays left are looked at */
export async function appointJudge(system: System, { history, fleet }: { history: History; fleet?: WorkerFleet }): Promise<Judge> {
  const look = fleet ? await lookBySsh(system, fleet) : () => Promise.resolve<Sight>({ nodes: lookAtFolders(instantNodesDir(system.lab)) });
  return {
    // The nodes last: an account that is on its way out by the tables is still a placement there.
    violations: async () => {
      const seen = await look();
      return system.violations({ history: history.operations, ...seen });
    },
  };
}

async function lookBySsh(system: System, fleet: WorkerFleet): Promise<() => Promise<Sight>> {
  const { keyFile, publicKey } = await generateSshKeyPair(system.lab.dir, 'checker');
  const inspector = { user: 'root', keyFile, ...UIDS };
  return async () => {
    const seen: NodeInspection[] = [];
    const hostKeys: ShownKey[] = [];
    for (const { id: nodeId, hostname, status } of await system.nodes()) {
      const worker = fleet.workers.find(({ name }) => name === hostname);
      if (worker && status === 'alive') {
        const shown = await askHostKey({ nodeId, address: worker.address, port: worker.port }, Date.now());
        hostKeys.push(...(shown ? [shown] : []));
        await worker.authorizeRoot(publicKey);
        const inspection = await inspectNode(
          inspector,
          { nodeId, address: worker.address, port: worker.port, hostKey: worker.hostKey },
          Date.now(),
        );
        seen.push(...(inspection ? [inspection] : []));
      }
    }
    await untilStrangersAreChecked(system, hostKeys);
    return { nodes: seen, hostKeys };
  };
}

/** A machine that changed its key may have done so a moment ago: only what is thought of it after its next login counts. */
async function untilStrangersAreChecked(system: System, shown: ShownKey[]): Promise<void> {
  const pinned = new Map(
    (await system.sql<{ id: number; host_key: string }>('SELECT id, host_key FROM nodes')).map((node) => [node.id, node.host_key]),
  );
  for (const { nodeId, at, hostKey } of shown) {
    const checked = async (): Promise<boolean> =>
      (
        await system.sql(
          "SELECT id FROM nodes WHERE id = ? AND (status <> 'alive' OR TIMESTAMPDIFF(MICROSECOND, '1970-01-01', logged_in_at) > ? * 1000)",
          [nodeId, at],
        )
      ).length === 1;
    if (pinned.get(nodeId) !== hostKey) {
      await eventually(checked, { what: `node ${nodeId} is logged in to again`, timeoutMs: 30_000, everyMs: 50 }).catch(() => undefined);
    }
  }
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
