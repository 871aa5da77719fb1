/**
 * Line coverage over src/: a line counts as covered when either jest (in-process) or a child process that ran dist/*.js has run it.
 * Counted are the lines on which a statement starts, in every file, loaded or not; types, comments and blanks do not count.
 *
 * Usage: node scripts/coverage.mjs V8_DIRECTORY COVERAGE_FINAL_JSON...
 * ORION_COVERAGE_MIN sets the least percentage (90), ORION_COVERAGE_WITHOUT a pattern of files that are left out, for where they could not be tested.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import libCoverage from 'istanbul-lib-coverage';
import ts from 'typescript';
import { coveredBySourceMap } from './lib/mapped-coverage.mjs';

const MINIMUM = Number(process.env.ORION_COVERAGE_MIN ?? 90);
const WITHOUT = process.env.ORION_COVERAGE_WITHOUT ? new RegExp(process.env.ORION_COVERAGE_WITHOUT) : /^$/;
const WORST = 15;
/** Where scripts/lib/worker-boot.sh mounts the project. */
const PROJECT_IN_WORKER = /^\/run\/orion\/project(?=\/)/;
const project = resolve(import.meta.dirname, '..');
const src = join(project, 'src');

const isCounted = (name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.endsWith('.d.ts');

/** Lines (from 1) on which something that runs starts. */
function executableLines(file) {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest, true);
  const lines = new Set();
  const visit = (node) => {
    if (runs(node)) {
      lines.add(source.getLineAndCharacterOfPosition(node.getStart()).line + 1);
    }
    if (!ts.isInterfaceDeclaration(node) && !ts.isTypeNode(node)) {
      ts.forEachChild(node, visit);
    }
  };
  visit(source);
  return lines;
}

/** Declarations of types, imports, functions (hoisted; their bodies count), re-exports and bare blocks run nothing themselves. */
function runs(node) {
  if (ts.isArrowFunction(node.parent ?? node) && node.parent.body === node) {
    return !ts.isBlock(node);
  }
  if (ts.isPropertyDeclaration(node)) {
    return node.initializer !== undefined;
  }
  const isStatement = node.kind >= ts.SyntaxKind.FirstStatement && node.kind <= ts.SyntaxKind.LastStatement;
  const isDeclared = node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.DeclareKeyword) ?? false;
  return isStatement && !isDeclared && !ts.isEmptyStatement(node);
}

/** Map of absolute file to the lines that jest itself saw run, in any of its runs. */
function coveredInProcess(reports) {
  const map = libCoverage.createCoverageMap();
  reports.filter((file) => existsSync(file)).forEach((file) => map.merge(JSON.parse(readFileSync(file, 'utf8'))));
  return new Map(
    map.files().map((name) => {
      const { statementMap, s } = map.fileCoverageFor(name);
      const lines = Object.entries(statementMap).flatMap(([id, { start, end }]) =>
        s[id] > 0 ? Array.from({ length: end.line - start.line + 1 }, (_, i) => start.line + i) : [],
      );
      return [name, new Set(lines)];
    }),
  );
}

/** The same for what child processes ran, through the source maps of dist/. */
function coveredInChildren(directory) {
  const covered = new Map();
  const scripts = new Map();
  for (const name of existsSync(directory) ? readdirSync(directory) : []) {
    for (const { url, functions } of readReport(join(directory, name))) {
      const script = url.startsWith('file://') ? fileURLToPath(url).replace(PROJECT_IN_WORKER, project) : '';
      if (script.startsWith(join(project, 'dist/'))) {
        scripts.set(script, [...(scripts.get(script) ?? []), functions]);
      }
    }
  }
  for (const [script, runsOfScript] of scripts) {
    // A rebuilt chunk has another name; reports of the old one say nothing about today's source.
    if (!existsSync(`${script}.map`)) {
      continue;
    }
    const map = JSON.parse(readFileSync(`${script}.map`, 'utf8'));
    const bySource = coveredBySourceMap(readFileSync(script, 'utf8'), map, runsOfScript);
    for (const [source, lines] of bySource) {
      const file = resolve(dirname(script), map.sourceRoot ?? '', source);
      covered.set(file, new Set([...(covered.get(file) ?? []), ...lines]));
    }
  }
  return covered;
}

/** A process that was killed while it wrote leaves half a report, which counts for nothing. */
function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).result ?? [];
  } catch {
    return [];
  }
}

function main([v8Directory, ...reports]) {
  const inProcess = coveredInProcess(reports);
  const inChildren = coveredInChildren(v8Directory);
  const files = readdirSync(src, { recursive: true }).filter(isCounted).map((name) => join(src, name)).filter((file) => !WITHOUT.test(relative(project, file)));
  const rows = files.map((file) => {
    const lines = [...executableLines(file)];
    const missed = lines.filter((line) => !inProcess.get(file)?.has(line) && !inChildren.get(file)?.has(line));
    return { file: relative(project, file), lines: lines.length, missed };
  });
  const total = rows.reduce((sum, row) => sum + row.lines, 0);
  const missed = rows.reduce((sum, row) => sum + row.missed.length, 0);
  printWorst(rows);
  const percent = total === 0 ? 100 : (100 * (total - missed)) / total;
  if (process.env.ORION_COVERAGE_WITHOUT) {
    console.log(`left out, for it could not be tested here: ${WITHOUT.source}`);
  }
  console.log(`Lines covered: ${percent.toFixed(2)} %`);
  if (!(percent >= MINIMUM)) {
    console.log(`at least ${MINIMUM} % are asked for (${total} lines, ${missed} missed)`);
    process.exitCode = 1;
  }
}

function printWorst(rows) {
  const worst = rows.filter((row) => row.missed.length > 0).sort((a, b) => b.missed.length - a.missed.length);
  const width = Math.max(...worst.slice(0, WORST).map((row) => row.file.length), 4);
  console.log(`${'file'.padEnd(width)}  lines  missed       %  missed lines`);
  for (const { file, lines, missed } of worst.slice(0, WORST)) {
    const percent = ((100 * (lines - missed.length)) / lines).toFixed(1);
    console.log(`${file.padEnd(width)}  ${String(lines).padStart(5)}  ${String(missed.length).padStart(6)}  ${percent.padStart(6)}  ${ranges(missed)}`);
  }
  if (worst.length > WORST) {
    console.log(`… and ${worst.length - WORST} more`);
  }
}

function ranges(lines) {
  const parts = [];
  for (const line of [...lines].sort((a, b) => a - b)) {
    const last = parts.at(-1);
    if (last && line <= last[1] + 2) {
      last[1] = line;
    } else {
      parts.push([line, line]);
    }
  }
  const text = parts.map(([from, to]) => (from === to ? from : `${from}-${to}`)).join(' ');
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

main(process.argv.slice(2));
