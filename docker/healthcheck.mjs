// Healthy when the role of this container answers /livez: on the API's port, or else on that of the other roles. An agent listens
// nowhere: its container lives as long as it does.
import { readFileSync } from 'node:fs';

const { ORION_HTTP_PORT = '3000', ORION_OPS_PORT = '9464' } = process.env;
const isAgent = /--role[=\0]agent\0/.test(readFileSync('/proc/1/cmdline', 'latin1'));
const askLivez = async (port) => {
  const { ok, status } = await fetch(`http://127.0.0.1:${port}/livez`, { signal: AbortSignal.timeout(4000) });
  if (!ok) {
    throw new Error(`${port} answers ${status}`);
  }
};
if (!isAgent) {
  await Promise.any([ORION_HTTP_PORT, ORION_OPS_PORT].map(askLivez));
}
