import type { Origin } from '../lib/origin';
import type { CallLocals, CallRequest } from './call';
import { callerAddressOf } from './caller-address';

/** Where a call came from, as far as it is known by now. */
export const originOf = (req: CallRequest, { requestId, principal, origin }: CallLocals): Origin => ({
  requestId,
  address: callerAddressOf(req),
  tokenId: principal?.token.tokenId,
  trace: origin?.trace,
});
