import { readFile } from 'node:fs/promises';
import { ApiError, usageError } from '../errors';
import { type CommandContext, withSession } from '../session';
import { formatTime, printable } from '../text';

export async function listKeys(context: CommandContext): Promise<void> {
  await withSession(context, async (session) => {
    const {
      data: { items },
      text,
    } = await session.api.call((orion) => orion['/api/keys'].GET());
    if (context.out.json) {
      context.out.document(text);
      return;
    }
    const rows = items.map((key) => [String(key.id), printable(key.name || '-'), printable(key.fingerprint), formatTime(key.created_at)]);
    await context.out.table(['ID', 'NAME', 'FINGERPRINT', 'ADDED'], rows, 'No key is registered: each rent brings its own.');
  });
}

/**
 * Registers a key.
 *
 * @param file a public key; a private key is refused
 */
export async function addKey(context: CommandContext, file: string, { name }: { name?: string }): Promise<void> {
  const text = await readFile(file, 'utf8').catch((error: unknown) =>
    Promise.reject(usageError(`${file} cannot be read: ${(error as Error).message}`)),
  );
  if (text.includes('PRIVATE KEY-----')) {
    throw usageError(`${file} is a private key: it stays with you.`, `Use: orion keys add ${file}.pub`);
  }
  await withSession(context, async ({ api, out }) => {
    const answer = await api.call((orion) => orion['/api/keys'].POST({ body: { name, public_key: text.trim() } }));
    if (out.json) {
      out.document(answer.text);
      return;
    }
    const key = answer.data;
    out.line(`key ${key.id} added  ${printable(key.fingerprint)}`);
    out.note('It opens your running leases within seconds, and those that you rent from now on without --key.');
    out.next('orion rent');
  });
}

export async function removeKey(context: CommandContext, id: number): Promise<void> {
  await withSession(context, async ({ api, out }) => {
    let repeated = false;
    const onRetry = (): void => void (repeated = true);
    await api
      .call((orion) => orion['/api/keys/{id}'].DELETE({ params: { path: { id } } }), { onRetry })
      .catch((error: unknown) => {
        // The first request removed the key, and its answer was lost.
        if (!repeated || !(error instanceof ApiError) || error.status !== 404) {
          throw error;
        }
      });
    out.line(`key ${id} removed`);
    out.note('It opens no lease any more; sessions that it opened end within seconds.');
    out.next('orion keys list');
  });
}
