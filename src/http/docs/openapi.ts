import { OpenApiGeneratorV31, OpenAPIRegistry } from '@asteasolutions/zod-to-openapi';

/** Creates the registry in which routes are documented. */
export function createRegistry(): OpenAPIRegistry {
  const registry = new OpenAPIRegistry();
  registry.registerComponent('securitySchemes', 'accessToken', {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'From POST /api/login',
  });
  registry.registerComponent('securitySchemes', 'nodeCredential', {
    type: 'http',
    scheme: 'bearer',
    description: 'From POST /api/workers/register',
  });
  return registry;
}

export type OpenApiDocument = ReturnType<OpenApiGeneratorV31['generateDocument']>;

export function generateOpenApi(registry: OpenAPIRegistry): OpenApiDocument {
  return new OpenApiGeneratorV31(registry.definitions).generateDocument({
    openapi: '3.1.0',
    info: { title: 'Orion', version: '1', description: 'Leases machines that enrol themselves.' },
    servers: [{ url: '/' }],
  });
}
