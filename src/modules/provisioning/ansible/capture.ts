import type { Readable } from 'node:stream';

/**
 * Collects the last `limit` bytes of a stream. The returned function gives the text so far. Reading never stops, so the writer never
 * blocks.
 */
export function createCapture(stream: Readable, limit: number): () => string {
  let chunks: Buffer[] = [];
  let size = 0;
  const joined = (): Buffer => {
    const all = Buffer.concat(chunks);
    return all.length > limit ? all.subarray(all.length - limit) : all;
  };
  stream.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    size += chunk.length;
    if (size > 2 * limit) {
      chunks = [Buffer.from(joined())];
      size = limit;
    }
  });
  stream.on('error', () => undefined);
  return () => joined().toString('utf8');
}
