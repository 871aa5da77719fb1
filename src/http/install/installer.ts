import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The agent in one file, and the script that installs it. */
export interface Installer {
  agent: Buffer;
  /** Hex, of the agent. */
  sha256: string;
  /** The script for machines that reach the control plane at `url`, which parseBaseUrl has let through, and are to trust this control key. */
  render: (url: string, controlFingerprint: string) => string;
}

/** Reads both from the folder of the installation. Throws when one is missing: the agent is there after `npm run build`. */
export async function readInstaller(root: string): Promise<Installer> {
  const [agent, template] = await Promise.all([readFile(join(root, 'dist', 'orion-agent.js')), readFile(join(root, 'installer', 'install.sh'), 'utf8')]);
  const sha256 = createHash('sha256').update(agent).digest('hex');
  return { agent, sha256, render: (url, controlFingerprint) => template.replaceAll('@ORION_URL@', url).replaceAll('@AGENT_SHA256@', sha256).replaceAll('@CONTROL_FINGERPRINT@', controlFingerprint) };
}
