import { readFile } from 'node:fs/promises';
import { ApiError, usageError } from '../errors';
import { callPages, type CommandContext, withSession } from '../session';
import { formatTime, printable } from '../text';
import type { Key } from '../../contract';

export async function listKeys(context: CommandContext): Promise<void> {
  await withSession(context, async (session) => {
    const { items, text } = await callPages<Key>(session, '/api/keys');
    if (context.out.json) {
      context.out.document(text);
      return;
    }
    const rows = items.map((key) => [String(key.id), printable(key.name || '-'), printable(key.fingerprint), formatTime(key.created_at)]);
    await context.out.table(['ID', 'NAME', 'FINGERPRINT', 'ADDED'], rows, 'No key is registered: each rent brings its own.');
  });
}

/** @param file a public key; never a private one */
export async function addKey(context: CommandContext, file: string, { name }: { name?: string }): Promise<void> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => Promise.reject(usageError(`${file} cannot be read: ${(error as Error).message}`)));
  if (text.includes('PRIVATE KEY-----')) {
    throw usageError(`${file} is a private key: it stays with you.`, `Use: orion keys add ${file}.pub`);
  }
  await withSession(context, async ({ api, out }) => {
    const answer = await api.call({ method: 'POST', path: '/api/keys', body: { ...(name === undefined ? {} : { name }), public_key: text.trim() } });
    if (out.json) {
      out.document(answer.text);
      return;
    }
    const key = answer.body as Key;
    out.line(`key ${key.id} added  ${printable(key.fingerprint)}`);
    out.note('Leases rented from now on without --key accept it.');
    out.next('orion rent');
  });
}

export async function removeKey(context: CommandContext, id: number): Promise<void> {
  await withSession(context, async ({ api, out }) => {
    let repeated = false;
    const onRetry = (): void => void (repeated = true);
    await api.call({ method: 'DELETE', path: `/api/keys/${id}`, onRetry }).catch((error: unknown) => {
      // The first request did it, and its answer got lost.
      if (!repeated || !(error instanceof ApiError) || error.status !== 404) {
        throw error;
      }
    });
    out.line(`key ${id} removed`);
    out.note('Running leases keep the keys that they were rented with.');
    out.next('orion keys list');
  });
}
