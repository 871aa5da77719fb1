import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A span as OTLP/JSON has it, with the name of the process that sent it. */
export interface ReceivedSpan {
  service: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  links: { traceId: string }[];
  events: { name: string }[];
  attributes: Record<string, unknown>;
  status: { code?: number };
}

/** A receiver of OTLP over HTTP with JSON. */
export interface TraceReceiver {
  url: string;
  spans: ReceivedSpan[];
  /** Requests that were received and not answered, because the receiver hangs. */
  held: ServerResponse[];
  close(): Promise<void>;
}

interface Attribute {
  key: string;
  value: Record<string, unknown>;
}

interface Export {
  resourceSpans: {
    resource: { attributes: Attribute[] };
    scopeSpans: { spans: (Omit<ReceivedSpan, 'attributes' | 'service'> & { attributes: Attribute[] })[] }[];
  }[];
}

const toRecord = (attributes: Attribute[]): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

/** Starts the receiver. With `hangs`, it reads requests and answers none. */
export async function startTraceReceiver({ hangs = false } = {}): Promise<TraceReceiver> {
  const spans: ReceivedSpan[] = [];
  const held: ServerResponse[] = [];
  const server = createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const { resourceSpans } = JSON.parse(Buffer.concat(chunks).toString()) as Export;
      for (const { resource, scopeSpans } of resourceSpans) {
        const service = String(toRecord(resource.attributes)['service.name']);
        spans.push(
          ...scopeSpans.flatMap((scope) => scope.spans).map((span) => ({ ...span, service, attributes: toRecord(span.attributes) })),
        );
      }
      if (hangs) {
        held.push(res);
      } else {
        res.writeHead(200, { 'Content-Type': 'application/json' }).end('{}');
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    held,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
