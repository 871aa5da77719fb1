import { createOrionClient, type OrionClientOptions } from '../../src/client';

export interface AnyAnswer {
  /** Of a success, and `error` of any other answer. */
  data?: unknown;
  error?: unknown;
  response: Response;
}

export interface AnyCall {
  body?: object | undefined;
  headers: Record<string, string>;
  /** Default: JSON. */
  parseAs?: 'text';
  signal?: AbortSignal;
}

/** One call by the client that programs use, of a path that is put together while a test or the demo runs: its types do not hold there. */
export function callAny(options: OrionClientOptions, { method, path }: { method: string; path: string }, { body, ...call }: AnyCall): Promise<AnyAnswer> {
  const orion = createOrionClient(options) as unknown as Record<string, Record<string, (call: AnyCall) => Promise<AnyAnswer>>>;
  const send = orion[path]?.[method];
  if (!send) {
    throw new Error(`no client for ${method} ${path}`);
  }
  return send({ ...call, ...(body ? { body } : {}) });
}
