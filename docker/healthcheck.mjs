// Healthy when the role of this container answers /livez at its operations port, or the scale driver at its only one.
// An agent listens nowhere: its container lives as long as it does.
import { readFileSync } from 'node:fs';

const { ORION_OPS_PORT = '9464', ORION_HTTP_PORT = '9466', ORION_SCALE_DRIVER_PORT = ORION_HTTP_PORT } = process.env;
const [, role] = /--role[=\0]([^\0]*)\0/.exec(readFileSync('/proc/1/cmdline', 'latin1')) ?? [];
if (role !== 'agent') {
  const port = role === 'scale-driver' ? ORION_SCALE_DRIVER_PORT : ORION_OPS_PORT;
  const { ok, status } = await fetch(`http://127.0.0.1:${port}/livez`, { signal: AbortSignal.timeout(4000) });
  if (!ok) {
    throw new Error(`port ${port} answers ${status}`);
  }
}
