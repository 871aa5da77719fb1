import type { BodyOf } from '../../contract';
import { rentNodes } from '../../contract/leases';
import { OrionError } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import type { Authenticator } from '../auth';
import type { Door, DoorCall } from '../door';
import { noteFailure } from '../problem';
import { type Answer, idempotencyKeyOf, parse } from '../route';
import type { Rent } from './rent';

export interface RentDoor {
  auth: Authenticator;
  rent: Rent;
  logger: Logger;
}

/** For rents that come by the hundred at once: what Express and its middleware take is more than all the rest up to the claim (docs/adr/0021-rents-past-express.md). */
export function createRentDoor({ auth, rent, logger }: RentDoor): Door {
  const take = async (call: DoorCall): Promise<Answer | undefined> => {
    const principal = await auth.findPrincipal(call.req);
    const body = principal && readRent(call.body);
    if (!body) {
      return undefined;
    }
    call.userId = principal.user.id;
    return rent({ body, by: principal.user, idempotencyKey: idempotencyKeyOf(call.req) });
  };
  return {
    path: rentNodes.path,
    take: async (call) => {
      try {
        return await take(call);
      } catch (error) {
        noteFailure(logger, { requestId: call.requestId, method: 'POST', path: rentNodes.path }, error);
        throw error;
      }
    },
  };
}

/** Undefined for what is not valid: the route says why. */
function readRent(body: unknown): BodyOf<typeof rentNodes> | undefined {
  try {
    return parse(rentNodes.body, body, 'body') as BodyOf<typeof rentNodes>;
  } catch (error) {
    if (error instanceof OrionError) {
      return undefined;
    }
    throw error;
  }
}
