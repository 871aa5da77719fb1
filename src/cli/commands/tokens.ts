import { callPages, type CommandContext, withSession } from '../session';
import { formatLabels, formatTime, printable } from '../text';
import type { JoinToken } from '../../contract';

export interface TokenOptions {
  maxUses?: number;
  ttlHours?: number;
  label?: Record<string, string>;
  maxCpus?: number;
  maxMemoryMb?: number;
}

/** Issues a join token. Only the token goes to stdout, so that a script can read it there. */
export async function createToken(
  context: CommandContext,
  name: string,
  { maxUses, ttlHours, label, maxCpus, maxMemoryMb }: TokenOptions,
): Promise<void> {
  await withSession(context, async ({ api, out }) => {
    const body = {
      name,
      ...(maxUses === undefined ? {} : { max_uses: maxUses }),
      ...(ttlHours === undefined ? {} : { ttl_hours: ttlHours }),
      ...(label === undefined ? {} : { labels: label }),
      ...(maxCpus === undefined ? {} : { max_cpus: maxCpus }),
      ...(maxMemoryMb === undefined ? {} : { max_memory_mb: maxMemoryMb }),
    };
    const answer = await api.call((orion) => orion['/api/tokens'].POST({ body }));
    if (out.json) {
      out.document(answer.text);
      return;
    }
    const token = answer.data;
    out.line(token.token);
    out.note(
      `join token ${token.id} (${printable(token.name)}): ${usesOf(token)}, until ${formatTime(token.expires_at)}. It is shown this once.`,
    );
    out.next(`on the machine that joins: API_ENDPOINT=${api.server} ORION_JOIN_TOKEN=… orion-agent`);
  });
}

export async function listTokens(context: CommandContext): Promise<void> {
  await withSession(context, async (session) => {
    const { items, text } = await callPages(session, (orion, cursor) => orion['/api/tokens'].GET({ params: { query: { cursor } } }));
    if (context.out.json) {
      context.out.document(text);
      return;
    }
    const rows = items.map((token) => [
      String(token.id),
      printable(token.name),
      usesOf(token),
      formatTime(token.expires_at),
      token.revoked_at === null ? '-' : formatTime(token.revoked_at),
      formatLabels(token.labels),
    ]);
    await context.out.table(['ID', 'NAME', 'USES', 'EXPIRES', 'REVOKED', 'LABELS'], rows, 'There is no join token.');
  });
}

export async function revokeToken(context: CommandContext, id: number): Promise<void> {
  await withSession(context, async ({ api, out }) => {
    const answer = await api.call((orion) => orion['/api/tokens/{id}'].DELETE({ params: { path: { id } } }));
    if (out.json) {
      out.document(answer.text);
      return;
    }
    out.line(`join token ${id} revoked`);
    out.note('Machines that joined with it stay.');
    out.next('orion token list');
  });
}

const usesOf = ({ uses, max_uses }: JoinToken): string => `${uses} of ${max_uses} uses`;
