import { beforeAll, describe, expect, it } from '@jest/globals';
import { useTestApi, useTestDatabase } from '../../support/hooks';

interface Operation {
  summary: string;
  security: object[];
  parameters?: { name: string; in: string }[];
  responses: Record<string, { description: string; content?: Record<string, unknown> }>;
}

const database = useTestDatabase();
const api = useTestApi(database);
let document: {
  openapi: string;
  info: object;
  paths: Record<string, Record<string, Operation>>;
  components: Record<string, Record<string, unknown>>;
};
let operations: [string, Operation][];
beforeAll(async () => {
  document = (await api.call<typeof document>('get', '/api/openapi.json')).body;
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, Operation] => [`${method} ${path}`, operation]),
  );
}, 60_000);

/** Every `$ref` in it, however deep. */
const refsOf = (value: unknown): string[] =>
  typeof value !== 'object' || value === null
    ? []
    : Object.entries(value).flatMap(([name, item]) => (name === '$ref' ? [String(item)] : refsOf(item)));

describe('the description of the API', () => {
  it('R16: is OpenAPI 3.1, and each reference leads somewhere', () => {
    expect(document).toMatchObject({ openapi: '3.1.0', info: { title: 'Orion' } });
    const refs = refsOf(document);
    expect(refs.length).toBeGreaterThan(50);
    for (const ref of new Set(refs)) {
      const [, section = '', kind = '', name = ''] = ref.split('/');
      expect([ref, section, document.components[kind]?.[name] !== undefined]).toEqual([ref, 'components', true]);
    }
  });

  it('R16: says of each operation what it does, who may, what goes right and what goes wrong', () => {
    for (const [name, { summary, security, responses }] of operations) {
      const statuses = Object.keys(responses);
      expect([name, summary.length > 5, statuses.some((status) => status.startsWith('2'))]).toEqual([name, true, true]);
      expect([name, statuses.includes('401')]).toEqual([name, security.length > 0 || /login|register|api\/password/.test(name)]);
      expect([name, Object.keys(responses['400']?.content ?? {})]).toEqual([name, ['application/problem+json']]);
    }
  });

  it('R16: names every parameter of a path', () => {
    for (const [name, { parameters = [] }] of operations) {
      const inPath = [...name.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
      expect([name, parameters.filter((parameter) => parameter.in === 'path').map((parameter) => parameter.name)]).toEqual([name, inPath]);
    }
  });
});
