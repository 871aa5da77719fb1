import type { Request, Router } from 'express';
import { parseBaseUrl } from '../../lib/base-url';
import { controlFingerprint } from '../../lib/control-key';
import { OrionError } from '../../lib/errors';
import { packageRoot } from '../../lib/package-root';
import { createStrictRouter } from '../strict-router';
import { type Installer, readInstaller } from './installer';

/**
 * What a machine enrols with, for anybody: `/install.sh`, `/orion-agent.js` and `/orion-agent.js.sha256`. Bytes from memory that never
 * reach the database: nothing to limit. Caches ask again each time, for the script names the checksum of the agent beside it.
 *
 * @param controlKey `ssh-ed25519 base64`: the script tells machines to trust it
 * @param publicUrl where machines reach the control plane; undefined: where the request says that it went
 */
export function createInstallRouter(publicUrl: string | undefined, controlKey: string): Router {
  const router = createStrictRouter();
  let reading: Promise<Installer> | undefined;
  const read = (): Promise<Installer> => (reading ??= readInstaller(packageRoot()));
  router.get('/install.sh', async (req, res) => {
    const script = (await read()).render(publicUrl ?? urlOf(req), controlFingerprint(controlKey));
    // What was made from the headers of one request is for that one alone: it runs as root.
    res.set('Cache-Control', publicUrl === undefined ? 'no-store' : 'public, no-cache').type('text/x-shellscript').send(script);
  });
  router.get('/orion-agent.js', async (_req, res) => {
    const { agent, sha256 } = await read();
    const digest = `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`;
    res.set({ ETag: `"${sha256}"`, 'Repr-Digest': digest, 'Cache-Control': 'public, no-cache' }).type('text/javascript').send(agent);
  });
  router.get('/orion-agent.js.sha256', async (_req, res) => {
    res.set('Cache-Control', 'public, no-cache').type('text/plain').send(`${(await read()).sha256}  orion-agent.js\n`);
  });
  return router;
}

function urlOf(req: Request): string {
  const host = req.host as string | undefined;
  const url = host === undefined ? undefined : parseBaseUrl(`${req.protocol}://${host}`);
  if (url === undefined) {
    throw new OrionError('invalid_request', 'The Host header is not the name of a server. An operator can set ORION_PUBLIC_URL.');
  }
  return url;
}
