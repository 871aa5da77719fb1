/** Writes docs/api.md from the OpenAPI document that the API serves. `--check` fails when the page is not up to date. */
import request from 'supertest';
import type { CallAccess } from '../src/contract';
import { ENDPOINTS } from '../src/contract/endpoints';
import { createDatabase } from '../src/db/connection';
import { createApps } from '../src/http/app';
import { createLimits } from '../src/http/limits';
import { createNodeFeed } from '../src/http/nodes/feed';
import { systemClock } from '../src/lib/clock';
import { silentLogger } from '../src/lib/logger';
import { createReadiness } from '../src/lib/readiness';
import { createMetrics } from '../src/modules/telemetry';
import { keepPage } from './lib/page';

interface Operation {
  summary: string;
  tags: string[];
  requestBody?: { content: { 'application/json': { schema: { $ref?: string } } } };
  parameters?: { name: string; in: string; required?: boolean }[];
  responses: Record<string, { description: string }>;
}

interface Schema {
  type?: string | string[];
  enum?: unknown[];
  anyOf?: Schema[];
  items?: Schema;
  $ref?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  default?: unknown;
  description?: string;
}

interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

/** The app as the api role composes it; the pool never connects, since only the document is asked for. */
async function fetchDocument(): Promise<Document> {
  const db = createDatabase({ host: '127.0.0.1', port: 1, user: 'nobody', password: '', database: 'none', poolSize: 2 });
  const base = { db, clock: systemClock, logger: silentLogger, metrics: createMetrics() };
  const none = undefined as never;
  const { api } = createApps({
    readiness: createReadiness(),
    api: {
      agentsDb: db,
      reads: db,
      ctx: {
        ...base,
        actor: 'api',
        settings: {} as never,
        homes: null,
        provisioner: none,
        challenges: none,
        controlKey: none,
        findMark: none,
        enrolment: 'token',
        tokens: { key: '', extraKeys: [], ttlSeconds: 1 },
      },
      feed: createNodeFeed(base),
      refusals: none,
      replica: none,
      sessions: none,
      limits: createLimits(
        db,
        {
          loginsPerAddress: 1,
          loginsPerName: 1,
          lateLogins: { waiting: 0, everySeconds: 1 },
          signupsPerAddress: 1,
          registrationsPerAddress: 1,
          registrationsPerNode: 1,
        },
        systemClock,
      ),
      settings: {
        signup: 'open',
        maxLeases: 1,
        maxLeaseHours: 1,
        minLeaseSeconds: 1,
        heartbeatIntervalSeconds: 1,
        heartbeatIdleSeconds: 1,
        heartbeatsPerSecond: 1,
        contactLimitSeconds: 1,
        management: { username: '', publicKeys: [], controlKey: '', statement: { text: '', signature: '' }, successors: [] },
        trustProxy: false,
        gateway: null,
      },
    },
  });
  const answer = await request(api).get('/api/openapi.json');
  await db.destroy();
  return answer.body as Document;
}

const nameOf = (ref: string): string => ref.split('/').at(-1) ?? ref;

function typeOf(schema: Schema): string {
  if (schema.$ref) {
    return `[${nameOf(schema.$ref)}](#${nameOf(schema.$ref).toLowerCase()})`;
  }
  if (schema.enum) {
    return schema.enum.map((value) => `\`${String(value)}\``).join(' ');
  }
  if (schema.anyOf) {
    return schema.anyOf.map(typeOf).join(' or ');
  }
  return schema.items ? `array of ${typeOf(schema.items)}` : [schema.type ?? 'any'].flat().join(' or ');
}

const CALLERS: Record<CallAccess, string> = {
  public: 'anybody',
  session: 'a user',
  user: 'a user',
  admin: 'an admin',
  node: 'an agent',
  machine: 'an agent',
};
const ACCESS = new Map<string, CallAccess>(ENDPOINTS.map(({ method, path, access }) => [`${method} ${path}`, access]));

/** Who may call an operation. The description of the API itself is no endpoint of the contract, and open to anybody. */
const accessOf = (operation: string): string => CALLERS[ACCESS.get(operation) ?? 'public'];

function operationRow(path: string, method: string, operation: Operation): string {
  const query = (operation.parameters ?? []).filter((parameter) => parameter.in === 'query').map(({ name }) => `\`${name}\``);
  const ref = operation.requestBody?.content['application/json'].schema.$ref;
  const input = [...(ref ? [`[${nameOf(ref)}](#${nameOf(ref).toLowerCase()})`] : []), ...query].join(', ');
  return `| \`${method.toUpperCase()} ${path}\` | ${operation.summary} | ${accessOf(`${method} ${path}`)} | ${input} | ${Object.keys(operation.responses).join(' ')} |`;
}

function schemaSection(name: string, schema: Schema): string {
  const rows = Object.entries(schema.properties ?? {}).map(([field, value]) => {
    const must =
      schema.required?.includes(field) && value.default === undefined
        ? 'yes'
        : value.default === undefined
          ? ''
          : `default \`${JSON.stringify(value.default)}\``;
    return `| \`${field}\` | ${typeOf(value)} | ${must} | ${value.description ?? ''} |`;
  });
  return rows.length === 0
    ? `### ${name}\n\n${typeOf(schema)}\n`
    : `### ${name}\n\n| field | type | required | |\n|---|---|---|---|\n${rows.join('\n')}\n`;
}

function render({ paths, components }: Document): string {
  const rows = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => operationRow(path, method, operation)),
  );
  const schemas = Object.entries(components.schemas).map(([name, schema]) => schemaSection(name, schema));
  return `# The API

Generated by \`npm run docs:api\` from the OpenAPI document that every replica serves at \`/api/openapi.json\` (with a page to try it at \`/api/docs\`).

JSON in and out, \`snake_case\`, times ISO 8601 in UTC. Errors are \`application/problem+json\` (RFC 9457) with a stable \`code\`, a \`detail\` that says what to do next, and the request id. Lists come in pages: pass \`next_cursor\` as \`cursor\`.
\`POST /api/rent\` and \`POST /api/extend\` take an \`Idempotency-Key\`: repeated with the same key they do the thing once, however often and to whichever replica they are sent.

| request | | who | input | answers |
|---|---|---|---|---|
${rows.join('\n')}

${schemas.join('\n')}`;
}

const text = render(await fetchDocument());
keepPage({ page: 'docs/api.md', command: 'npm run docs:api', write: () => text });
