import { hasEventLately, recordEvent } from '../../modules/audit';
import type { FlowContext } from '../support/context';

/** A node records one dispute in this time: a broken agent must not fill the audit log. */
const ONCE_IN_SECONDS = 60;

/** Records that the head of the audit log that a node got does not continue the one that it keeps. */
export async function noteDispute(
  { db, logger }: Pick<FlowContext, 'db' | 'logger'>,
  { nodeId, reason }: { nodeId: number; reason: string },
): Promise<void> {
  logger.error('audit log disputed by a node', { nodeId, reason });
  const isKnown = await hasEventLately(db, { type: 'audit.disputed', of: 'node', id: nodeId, seconds: ONCE_IN_SECONDS });
  if (!isKnown) {
    await recordEvent(db, { type: 'audit.disputed', actor: `node:${nodeId}`, nodeId, data: { reason } });
  }
}
