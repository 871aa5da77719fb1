import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Server } from 'node:net';

/**
 * Listens on a UNIX socket `name` in `folder`, whose path may have any length. The address of such a socket is limited to 107 bytes, and
 * TMPDIR alone may exceed that. So the folder is addressed through a descriptor of this process. The other side changes into the folder and
 * connects to the bare name.
 */
export async function listenIn(server: Server, folder: string, name: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  // Keep the handle until the server has closed: the server removes the socket by the same path.
  const release = (): void => void handle.close().catch(() => undefined);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      release();
      reject(error);
    });
    server.once('close', release);
    server.listen(`/proc/self/fd/${handle.fd}/${name}`, resolve);
  });
}
