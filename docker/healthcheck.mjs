// Healthy when the role of this container answers /livez at its operations port. An agent listens nowhere: its container lives as long as it does.
import { readFileSync } from 'node:fs';

const { ORION_OPS_PORT = '9464' } = process.env;
const isAgent = /--role[=\0]agent\0/.test(readFileSync('/proc/1/cmdline', 'latin1'));
if (!isAgent) {
  const { ok, status } = await fetch(`http://127.0.0.1:${ORION_OPS_PORT}/livez`, { signal: AbortSignal.timeout(4000) });
  if (!ok) {
    throw new Error(`port ${ORION_OPS_PORT} answers ${status}`);
  }
}
