import { Router } from 'express';

/**
 * A router for which `/a`, `/a/` and `/A` are three paths. Express takes them for one by default, and the proxy in front does not: a rule of the proxy
 * about one spelling would leave the others open.
 */
export const createStrictRouter = (): Router => Router({ caseSensitive: true, strict: true });
