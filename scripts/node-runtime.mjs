/**
 * Brings the Node.js release that node-runtime.json pins from the npm registry. The self-contained agent, the stand-in of Node's image and some stages of
 * scripts/test.sh use it. It is kept in node_modules/.cache/orion-node, outside of every PATH. Prints the folder that has bin/node and include/node
 * for this machine's architecture. Usage: scripts/node-runtime.mjs
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const scripts = dirname(fileURLToPath(import.meta.url));
const cache = join(dirname(scripts), 'node_modules', '.cache', 'orion-node');
const runtime = JSON.parse(readFileSync(join(scripts, 'node-runtime.json'), 'utf8'));

const sha512 = (file) => `sha512-${createHash('sha512').update(readFileSync(file)).digest('base64')}`;

/** Unpacks a release into `folder`. Throws when the registry has other bytes than those that are pinned. */
function download(folder, { package: name, integrity }) {
  const pack = ['pack', '--silent', `${name}@${runtime.version}`, '--pack-destination', folder];
  execFileSync('npm', pack, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  const tarball = join(folder, `${name}-${runtime.version}.tgz`);
  const found = sha512(tarball);
  if (found !== integrity) {
    throw new Error(`${name}@${runtime.version} is ${found} instead of ${integrity}`);
  }
  execFileSync('tar', ['-xzf', tarball, '--no-same-owner', '-C', folder, 'package/bin', 'package/include']);
}

/** The folder of the pinned release for `arch` (x64 or arm64). It is whole or not there, since several programs may bring it at once. */
export function nodeFolder(arch) {
  const wanted = runtime[arch];
  const pin = createHash('sha256').update(wanted.integrity).digest('hex').slice(0, 12);
  const folder = join(cache, `${runtime.version}-${arch}-${pin}`);
  if (!existsSync(folder)) {
    mkdirSync(cache, { recursive: true });
    const work = mkdtempSync(join(cache, 'download-'));
    try {
      download(work, wanted);
      renameSync(join(work, 'package'), folder);
    } catch (error) {
      // Another program was faster.
      if (!existsSync(folder)) {
        throw error;
      }
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  return folder;
}

if (realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  console.log(nodeFolder(process.arch));
}
