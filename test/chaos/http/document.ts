import { z } from 'zod';

export type JsonSchema = Record<string, unknown>;

export interface Parameter {
  name: string;
  in: 'path' | 'query';
  schema: JsonSchema;
}

/** One operation of the OpenAPI document, with what is needed to ask it and to judge its answers. */
export interface Operation {
  method: string;
  /** `/api/leases/{id}` */
  path: string;
  /** Whose credential it takes. */
  access: 'public' | 'user' | 'node';
  parameters: Parameter[];
  /** Undefined: it takes none. References are resolved. */
  body: JsonSchema | undefined;
  /** Whether the document allows this body. */
  allows(body: unknown): boolean;
  /** What the document says against this answer; undefined when nothing. */
  objection(status: number, json: unknown): string | undefined;
}

interface Content {
  content?: Record<string, { schema: JsonSchema }>;
}

interface RawOperation {
  security: Record<string, unknown>[];
  parameters?: Parameter[];
  requestBody?: Content;
  responses: Record<string, Content>;
}

export interface OpenApi {
  paths: Record<string, Record<string, RawOperation>>;
  components: { schemas: Record<string, JsonSchema> };
}

/**
 * What any route may answer before it is even looked at: a body that is too large, none that it takes, headers or times beyond the
 * parser's.
 */
const USUAL = new Set(['400', '408', '413', '415', '431']);

/** The schema with its references put in. The API's schemas do not contain themselves. */
function resolve(schema: unknown, all: Record<string, JsonSchema>): unknown {
  if (Array.isArray(schema)) {
    return schema.map((item) => resolve(item, all));
  }
  if (typeof schema !== 'object' || schema === null) {
    return schema;
  }
  const { $ref, ...rest } = schema as JsonSchema;
  const own = Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, resolve(value, all)]));
  return typeof $ref === 'string' ? { ...(resolve(all[$ref.replace(/.*\//, '')], all) as JsonSchema), ...own } : own;
}

/** An operation that also takes no credential at all counts as public. */
function accessIn(security: Record<string, unknown>[]): Operation['access'] {
  const [way] = security;
  if (way === undefined || Object.keys(way).length === 0) {
    return 'public';
  }
  return 'accessToken' in way ? 'user' : 'node';
}

/** The same, with members that it does not name forbidden: an answer may tell nothing that is not documented. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) {
    return schema.map(closed);
  }
  if (typeof schema !== 'object' || schema === null) {
    return schema;
  }
  const own = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, closed(value)]));
  return 'properties' in own && !('additionalProperties' in own) ? { ...own, additionalProperties: false } : own;
}

const schemaIn = ({ content = {} }: Content): JsonSchema | undefined => content['application/json']?.schema;

export function operationsOf({ paths, components: { schemas } }: OpenApi): Operation[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, raw]) => {
      const body = raw.requestBody && (resolve(schemaIn(raw.requestBody), schemas) as JsonSchema);
      const bodySchema = body && z.fromJSONSchema(body);
      const answers = new Map(
        Object.entries(raw.responses).map(([status, content]) => {
          const schema = schemaIn(content);
          return [status, schema && z.fromJSONSchema(closed(resolve(schema, schemas)) as never)] as const;
        }),
      );
      const problem = z.fromJSONSchema(resolve({ $ref: 'Problem' }, schemas) as never);
      return {
        method: method.toUpperCase(),
        path,
        access: accessIn(raw.security),
        parameters: raw.parameters ?? [],
        body,
        allows: (value) => bodySchema?.safeParse(value).success ?? true,
        objection: (status, json) => {
          const name = String(status);
          if (!answers.has(name) && !USUAL.has(name)) {
            return `${status} is not documented`;
          }
          return (status >= 400 ? problem : answers.get(name))?.safeParse(json).error?.message.slice(0, 300);
        },
      } satisfies Operation;
    }),
  );
}
