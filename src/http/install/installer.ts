import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Architectures, in Node's names, of the self-contained agents that scripts/build-agent.mjs builds. */
export const ARCHITECTURES = ['x64', 'arm64'] as const;

/** A file that machines download. */
export interface Download {
  path: string;
  /** SHA-256 in hex. */
  sha256: string;
}

/** The files and the script with which a machine enrols. */
export interface Installer {
  /** By file name: `orion-agent.js`, which needs Node.js, and the self-contained agents that were built. */
  downloads: Map<string, Download>;
  /**
   * Returns the script for machines that connect to `url` and trust the control key with this fingerprint. `url` must be a result of
   * parseBaseUrl.
   */
  render: (url: string, controlFingerprint: string) => string;
}

export const packedName = (arch: string): string => `orion-agent-linux-${arch}.gz`;

/**
 * Reads the files in the folder of the installation. Throws when the script or orion-agent.js is missing; `npm run build` makes
 * orion-agent.js.
 */
export async function readInstaller(root: string): Promise<Installer> {
  const dist = (name: string): string => join(root, 'dist', name);
  const [agent, template] = await Promise.all([readFile(dist('orion-agent.js')), readFile(join(root, 'installer', 'install.sh'), 'utf8')]);
  const downloads = new Map([
    ['orion-agent.js', { path: dist('orion-agent.js'), sha256: createHash('sha256').update(agent).digest('hex') }],
  ]);
  for (const name of ARCHITECTURES.map(packedName)) {
    const [sha256] = (await readFile(dist(`${name}.sha256`), 'utf8').catch(() => '')).split(' ', 1);
    if (sha256) {
      downloads.set(name, { path: dist(name), sha256 });
    }
  }
  const sum = (name: string): string => downloads.get(name)?.sha256 ?? '';
  const script = template
    .replaceAll('@AGENT_SHA256@', sum('orion-agent.js'))
    .replaceAll('@AGENT_X64_SHA256@', sum(packedName('x64')))
    .replaceAll('@AGENT_ARM64_SHA256@', sum(packedName('arm64')));
  return {
    downloads,
    render: (url, controlFingerprint) => script.replaceAll('@ORION_URL@', url).replaceAll('@CONTROL_FINGERPRINT@', controlFingerprint),
  };
}
