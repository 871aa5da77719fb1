import type { Request, Router } from 'express';
import { parseBaseUrl } from '../../lib/base-url';
import { controlFingerprint } from '../../lib/control-key';
import { OrionError } from '../../lib/errors';
import { packageRoot } from '../../lib/package-root';
import { createStrictRouter } from '../strict-router';
import { ARCHITECTURES, type Download, type Installer, packedName, readInstaller } from './installer';

/**
 * Serves the files with which a machine enrols, to anybody: `/install.sh`, and the agents (`/orion-agent.js`, `/orion-agent-linux-x64.gz`,
 * `/orion-agent-linux-arm64.gz`), each with its `.sha256`. These requests never reach the database, so they have no rate limit. Caches must
 * revalidate each time, because the script contains the checksum of the agent beside it.
 *
 * @param controlKey `ssh-ed25519 base64`; the script makes machines trust it
 * @param publicUrl where machines reach the control plane; undefined: the URL to which the request was sent
 */
export function createInstallRouter(publicUrl: string | undefined, controlKey: string): Router {
  const router = createStrictRouter();
  let reading: Promise<Installer> | undefined;
  const read = (): Promise<Installer> => (reading ??= readInstaller(packageRoot()));
  const find = async (name: string): Promise<Download> => {
    const found = (await read()).downloads.get(name);
    if (!found) {
      throw new OrionError('not_found', `${name} was not built for this control plane: npm run build:agent.`);
    }
    return found;
  };
  router.get('/install.sh', async (req, res) => {
    const script = (await read()).render(publicUrl ?? urlOf(req), controlFingerprint(controlKey));
    // A script made from the headers of one request must not be cached for other clients, because it runs as root.
    res
      .set('Cache-Control', publicUrl === undefined ? 'no-store' : 'public, no-cache')
      .type('text/x-shellscript')
      .send(script);
  });
  for (const name of ['orion-agent.js', ...ARCHITECTURES.map(packedName)]) {
    router.get(`/${name}`, async (_req, res) => {
      const { path, sha256 } = await find(name);
      const digest = `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`;
      res
        .set({ ETag: `"${sha256}"`, 'Repr-Digest': digest, 'Cache-Control': 'public, no-cache' })
        .type(name.endsWith('.js') ? 'text/javascript' : 'application/gzip');
      // The file is streamed from disk, because one agent has 40 MB. A client that disconnects during the download is no error.
      await new Promise<void>((resolve, reject) =>
        res.sendFile(path, { cacheControl: false, lastModified: false, acceptRanges: false, dotfiles: 'allow' }, (error?: Error) =>
          error && !res.headersSent ? reject(error) : resolve(),
        ),
      );
    });
    router.get(`/${name}.sha256`, async (_req, res) => {
      res
        .set('Cache-Control', 'public, no-cache')
        .type('text/plain')
        .send(`${(await find(name)).sha256}  ${name}\n`);
    });
  }
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
