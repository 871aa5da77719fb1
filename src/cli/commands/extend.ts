import { randomUUID } from 'node:crypto';
import { MAX_ATTEMPTS } from '../api';
import { parseDuration } from '../arguments';
import { usageError } from '../errors';
import { describeLease } from '../lease-view';
import { withProgress } from '../progress';
import { type CommandContext, withSession } from '../session';

export interface ExtendOptions {
  hours?: number;
  minutes?: number;
  idempotencyKey?: string;
}

/** Extends a lease. If the connection breaks, the client repeats the request with the same key, so that the lease is extended once. */
export async function extend(context: CommandContext, leaseId: number, options: ExtendOptions): Promise<void> {
  const duration = parseDuration(options);
  if (!duration) {
    throw usageError('Say by how much.', `For example: orion extend ${leaseId} --hours 1`);
  }
  await withSession(context, async ({ api, out }) => {
    const headers = { 'idempotency-key': options.idempotencyKey ?? randomUUID() };
    const answer = await withProgress(context, `extending lease ${leaseId}`, (progress) =>
      api.call((orion) => orion['/api/extend'].POST({ body: { lease_id: leaseId, ...duration }, headers }), {
        onRetry: (_reason, attempt) =>
          progress.step(`the connection broke, asking again with the same key (${attempt} of ${MAX_ATTEMPTS})`),
      }),
    );
    if (out.json) {
      out.document(answer.text);
      return;
    }
    out.line(describeLease(answer.data));
    out.next(`orion ssh ${leaseId}`, `orion release ${leaseId}`);
  });
}
