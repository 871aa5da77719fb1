import { createOrionClient, type OrionClientOptions } from '../../src/client';

export interface AnyAnswer {
  /** Body of a success; `error` is the body of any other answer. */
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

/** Sends one call with the public client. The path is built at run time by a test or the demo, so the client's types do not apply. */
export function callAny(
  options: OrionClientOptions,
  { method, path }: { method: string; path: string },
  { body, ...call }: AnyCall,
): Promise<AnyAnswer> {
  const orion = createOrionClient(options) as unknown as Record<string, Record<string, (call: AnyCall) => Promise<AnyAnswer>>>;
  const send = orion[path]?.[method];
  if (!send) {
    throw new Error(`no client for ${method} ${path}`);
  }
  return send({ ...call, ...(body ? { body } : {}) });
}
