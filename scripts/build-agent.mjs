/**
 * Builds the self-contained agent for Linux with glibc: dist/orion-agent-linux-<x64|arm64>.gz, each with a .sha256 file. It is Node's single
 * executable application (docs/adr/0028): Node's binary from the npm registry, pinned by node-runtime.json, with the bundled agent in it.
 * What was built before is kept in node_modules/.cache/orion-agent and used again. Usage: scripts/build-agent.mjs [x64|arm64 …]
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { nodeFolder } from './node-runtime.mjs';

const project = dirname(dirname(fileURLToPath(import.meta.url)));
const cache = join(project, 'node_modules', '.cache', 'orion-agent');
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/** No compiler, a small young generation, no threads of V8's own: 12 MB less for an agent (bench/agent-memory.ts); the CPU of a busy tunnel: docs/adr/0028. */
const V8_FLAGS = ['--max-semi-space-size=1', '--single-threaded', '--optimize-for-size', '--no-opt', '--no-maglev', '--no-sparkplug'];

const digest = (algorithm, data, encoding) => createHash(algorithm).update(data).digest(encoding);
/** Whole or not at all: several builds may share the cache. */
function put(file, make) {
  const beside = `${file}.${process.pid}`;
  make(beside);
  renameSync(beside, file);
}

async function bundle() {
  const { outputFiles } = await build({
    entryPoints: [join(project, 'src', 'agent-main.ts')], bundle: true, platform: 'node', target: 'node24', format: 'cjs', minifyWhitespace: true, minifySyntax: true, write: false,
    logLevel: 'warning',
    // The embedded program has no loader of modules: its imports of Node's own become calls of require.
    supported: { 'dynamic-import': false },
  });
  return outputFiles[0].contents;
}

/** Node's binary for an architecture. */
const nodeBinary = (arch) => join(nodeFolder(arch), 'bin', 'node');

/**
 * An ELF file of 64 bits, little endian (elf(5)), up to the end of what its program headers load. Symbols and section headers, which nothing
 * reads when it runs, are a sixth of Node's binary.
 */
function withoutSections(elf) {
  const [headers, size, count] = [Number(elf.readBigUInt64LE(32)), elf.readUInt16LE(54), elf.readUInt16LE(56)];
  const ends = Array.from({ length: count }, (_, at) => headers + at * size).map((at) => Number(elf.readBigUInt64LE(at + 8) + elf.readBigUInt64LE(at + 32)));
  elf.writeBigUInt64LE(0n, 40);
  elf.writeUInt16LE(0, 60);
  elf.writeUInt16LE(0, 62);
  return elf.subarray(0, Math.max(...ends));
}

/** The blob holds the source and no code, so it is the same for each architecture. */
function makeBlob(folder, source) {
  writeFileSync(join(folder, 'agent.cjs'), source);
  const config = { main: 'agent.cjs', output: 'agent.blob', disableExperimentalSEAWarning: true, execArgv: V8_FLAGS, execArgvExtension: 'none' };
  writeFileSync(join(folder, 'sea.json'), JSON.stringify(config));
  execFileSync(nodeBinary(process.arch), ['--experimental-sea-config', 'sea.json'], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  return join(folder, 'agent.blob');
}

function assemble(arch, source) {
  const folder = mkdtempSync(join(cache, 'build-'));
  try {
    const program = join(folder, 'orion-agent');
    const blob = makeBlob(folder, source);
    writeFileSync(program, withoutSections(readFileSync(nodeBinary(arch))), { mode: 0o755 });
    const postject = join(dirname(createRequire(import.meta.url).resolve('postject/package.json')), 'dist', 'cli.js');
    execFileSync(process.execPath, [postject, program, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', FUSE], { stdio: ['ignore', 'ignore', 'ignore'] });
    chmodSync(program, 0o755);
    return gzipSync(readFileSync(program), { level: 9 });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function main(wanted) {
  mkdirSync(cache, { recursive: true });
  mkdirSync(join(project, 'dist'), { recursive: true });
  const source = await bundle();
  const key = digest('sha256', Buffer.concat([source, readFileSync(fileURLToPath(import.meta.url)), readFileSync(join(project, 'scripts', 'node-runtime.json'))]), 'hex').slice(0, 16);
  for (const arch of wanted) {
    const name = `orion-agent-linux-${arch}.gz`;
    const kept = join(cache, `${key}-${name}`);
    if (!existsSync(kept)) {
      const packed = assemble(arch, source);
      put(kept, (file) => writeFileSync(file, packed));
    }
    const target = join(project, 'dist', name);
    put(target, (file) => cpSync(kept, file));
    writeFileSync(`${target}.sha256`, `${digest('sha256', readFileSync(kept), 'hex')}  ${name}\n`);
    console.log(`dist/${name}: ${(readFileSync(kept).length / 1e6).toFixed(1)} MB`);
  }
}

const asked = process.argv.slice(2);
if (asked.some((arch) => !['x64', 'arm64'].includes(arch))) {
  console.error('build-agent: the architectures are x64 and arm64');
  process.exit(2);
}
await main(asked.length > 0 ? asked : ['x64', 'arm64']);
