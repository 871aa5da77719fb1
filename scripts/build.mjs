/** Patches the SSH library and builds dist/: `main.js` (every role and command, in lazily loaded chunks) and `orion-agent.js` (the agent, one file, no dependency). */
import { rm } from 'node:fs/promises';
import { build } from 'esbuild';
import { patchSsh2 } from './patch-ssh2.mjs';

const common = { bundle: true, platform: 'node', target: 'node20', format: 'esm', sourcemap: true, sourcesContent: false, logLevel: 'warning' };

// What is bundled into the agent and written for CommonJS asks for Node's own modules by require.
const require = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

patchSsh2();
await rm('dist', { recursive: true, force: true });
await Promise.all([
  build({ ...common, entryPoints: ['src/main.ts'], outdir: 'dist', splitting: true, packages: 'external', chunkNames: 'chunks/[name]-[hash]' }),
  build({ ...common, entryPoints: { client: 'src/client/index.ts' }, outdir: 'dist', platform: 'neutral', mainFields: ['module', 'main'] }),
  build({ ...common, entryPoints: { 'orion-agent': 'src/agent-main.ts' }, outdir: 'dist', banner: { js: require } }),
]);
