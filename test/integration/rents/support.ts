import type { Knex } from 'knex';
import type { SecretRequest } from '../../../src/flows/rent/rent-request';
import { createReserve, type Reserve } from '../../../src/flows/rent/reserve';
import { OrionError } from '../../../src/lib/errors';
import type { User } from '../../../src/modules/accounts';
import { createTestContext } from '../../support/context';
import { createFakeProvisioner } from '../../support/fake-provisioner';
import { anSshKey } from '../../support/keys';

/** What reserves in one API process, over a pool of its own. */
export const replicaOn = (db: Knex, batchMax = 128): Reserve => createReserve(createTestContext(db, createFakeProvisioner()), { batchMax });

export const anything = { cpus: 1, memoryMb: 0, labels: {} };
const publicKey = anSshKey();

export function aRequest(user: User, change: Partial<SecretRequest> = {}): SecretRequest {
  return {
    user,
    requestedBy: user,
    durationSeconds: 3600,
    count: 1,
    requirements: anything,
    publicKeys: [publicKey],
    keyInRequest: publicKey,
    withPassword: false,
    checkpoint: true,
    idempotencyKey: null,
    passwordHash: null,
    ...change,
  };
}

export interface Told {
  /** `leased`, `replayed`, or the code of the refusal. */
  is: string;
  rentId?: number;
  nodes: number[];
}

/** Asks all of it at once; in the order of the requests. */
export async function askAtOnce(asks: [Reserve, SecretRequest][]): Promise<Told[]> {
  const outcomes = await Promise.allSettled(asks.map(([reserve, request]) => reserve(request)));
  return outcomes.map((each): Told => {
    if (each.status === 'fulfilled') {
      const { rentId, reserved, replayed } = each.value;
      return { is: replayed ? 'replayed' : 'leased', rentId, nodes: reserved.map(({ node }) => node.id) };
    }
    const error: unknown = each.reason;
    return { is: error instanceof OrionError ? error.code : String(error), nodes: [] };
  });
}

export const countOf = (told: Told[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  told.forEach(({ is }) => (counts[is] = (counts[is] ?? 0) + 1));
  return counts;
};
