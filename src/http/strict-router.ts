import { Router } from 'express';

/**
 * Creates a router for which `/a`, `/a/` and `/A` are three paths. By default they are one path for Express, but not for the proxy in
 * front. So a rule of the proxy about one spelling would leave the others open.
 */
export const createStrictRouter = (): Router => Router({ caseSensitive: true, strict: true });
