import type { Lab } from '../../test/lab';
import { eventually, type EventuallyOptions } from '../../test/lab';
import type { NodeForAdmin, Page } from '../../src/contract';
import { type Client, expectStatus } from './api';
import type { Narrator } from './narrator';
import type { ControlPlane, Operator, World } from './world';

/** What every chapter plays with. */
export interface Stage {
  lab: Lab;
  narrator: Narrator;
  world: World;
  plane: ControlPlane;
  /** Everybody: clients come in by https. */
  anonymous: Client;
  operator: Client;
  operatorAccount: Operator;
}

export async function listNodes(operator: Client): Promise<NodeForAdmin[]> {
  return expectStatus(await operator.get<Page<NodeForAdmin>>('/api/nodes?limit=100'), 200).items;
}

export async function getNode(operator: Client, id: number): Promise<NodeForAdmin> {
  const found = (await listNodes(operator)).find((node) => node.id === id);
  if (!found) {
    throw new Error(`there is no node ${id}`);
  }
  return found;
}

export const PATIENCE_MS = 60_000;

/** Waits until this many nodes are free, which means: alive, and their last wipe verified. */
export async function untilFree(operator: Client, count: number): Promise<NodeForAdmin[]> {
  const look = async (): Promise<NodeForAdmin[] | undefined> => {
    const nodes = await listNodes(operator);
    const free = nodes.filter((node) => node.free);
    if (free.length < count) {
      throw new Error(
        `${free.length} are free; ${nodes.map(({ hostname, status, dirty }) => `${hostname} ${status}${dirty ? ' dirty' : ''}`).join(', ')}`,
      );
    }
    return free;
  };
  return until(look, { what: `${count} machines are free` });
}

/** `eventually` with the demo's patience, a tenth of a second between looks. */
export function until<T>(look: () => Promise<T>, options: EventuallyOptions): ReturnType<typeof eventually<T>> {
  return eventually(look, { timeoutMs: PATIENCE_MS, everyMs: 100, ...options });
}
