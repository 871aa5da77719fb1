import type { IncomingMessage } from 'node:http';
import type { MachineProof } from '../../flows/enrolment/prove-machine';
import { OrionError } from '../../lib/errors';
import { JOIN_PROOF_HEADER, parseJoinProof } from '../../lib/join-token';
import { bytesOfBody } from '../body';

const HOST_KEY_SIGNATURE_HEADER = 'orion-host-key-signature';

/**
 * Reads what a registration is signed with. The signatures are in headers, so that the body is signed exactly as it is sent. Returns null
 * when there is none. Throws invalid_request when the proof is incomplete.
 */
export function readProof(
  req: IncomingMessage,
  { challenge, agent_key: agentKey }: { challenge?: string | undefined; agent_key?: string | undefined },
): MachineProof | null {
  const { [HOST_KEY_SIGNATURE_HEADER]: hostKeySignature, [JOIN_PROOF_HEADER]: joinText } = req.headers;
  if (typeof hostKeySignature !== 'string') {
    return null;
  }
  const join = typeof joinText === 'string' ? parseJoinProof(joinText) : null;
  if (challenge === undefined || agentKey === undefined || join === undefined) {
    throw new OrionError(
      'invalid_request',
      `A registration with ${HOST_KEY_SIGNATURE_HEADER} needs "challenge" and "agent_key" in its body; ${JOIN_PROOF_HEADER} is \`<id>:<signature>\`.`,
    );
  }
  return { body: bytesOfBody(req), challenge, agentKey, hostKeySignature, join };
}
