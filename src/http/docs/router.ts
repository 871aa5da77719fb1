import { type Router, static as serveStatic } from 'express';
// The package's own entry would run its 1.5 MB of browser code in each process.
import absolutePath from 'swagger-ui-dist/absolute-path.js';
import { createStrictRouter } from '../strict-router';
import type { OpenApiDocument } from './openapi';

const PAGE = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Orion API</title><link rel="stylesheet" href="/api/docs/assets/swagger-ui.css"></head>
<body><div id="ui"></div><script src="/api/docs/assets/swagger-ui-bundle.js"></script><script src="/api/docs/start.js"></script></body></html>`;
const START = "SwaggerUIBundle({ url: '/api/openapi.json', dom_id: '#ui', deepLinking: true });";

/** Serves `/api/openapi.json`, and a page at `/api/docs` that shows it. */
export function createDocsRouter(document: OpenApiDocument): Router {
  const router = createStrictRouter();
  router.get('/api/openapi.json', (_req, res) => void res.json(document));
  router.get('/api/docs', (_req, res) => void res.type('html').send(PAGE));
  router.get('/api/docs/start.js', (_req, res) => void res.type('js').send(START));
  router.use('/api/docs/assets', serveStatic(absolutePath(), { index: false, redirect: false }));
  return router;
}
