/** Builds dist/: `main.js` (every role and command, in lazily loaded chunks) and `orion-agent.js` (the agent, one file, no dependency). */
import { rm } from 'node:fs/promises';
import { build } from 'esbuild';

const common = { bundle: true, platform: 'node', target: 'node20', format: 'esm', sourcemap: true, sourcesContent: false, logLevel: 'warning' };

await rm('dist', { recursive: true, force: true });
await Promise.all([
  build({ ...common, entryPoints: ['src/main.ts'], outdir: 'dist', splitting: true, packages: 'external', chunkNames: 'chunks/[name]-[hash]' }),
  build({ ...common, entryPoints: { 'orion-agent': 'src/agent-main.ts' }, outdir: 'dist' }),
]);
