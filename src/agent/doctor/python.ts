import { ask } from './ask';
import { fail, type Finding } from './check';

/** The first release with `str.isascii`, which the node programs use. */
const MINIMUM = [3, 7] as const;
/** Modules of the standard library. Minimal packages of some distributions leave modules out. */
const MODULES =
  '_json, _signal, array, binascii, ctypes, fcntl, fnmatch, glob, itertools, json, marshal, re, select, stat, subprocess, tempfile, time';
const PROGRAM = `import sys; print("Python %d.%d" % sys.version_info[:2]); import ${MODULES}`;
const REMEDY = `install Python ${MINIMUM.join('.')} or newer with its standard library as python3 (package python3), where root's PATH has it`;

/** Checks Python with the command that the control plane runs over SSH. */
export async function examinePython(signal: AbortSignal): Promise<Finding[]> {
  const reply = await ask('python3', ['-I', '-S', '-c', PROGRAM], signal);
  if (!reply) {
    return [fail('python3 is not there or cannot be started', REMEDY)];
  }
  const version = parsePythonVersion(reply.output);
  if (!version || !isEnough(version)) {
    return [fail(version ? `python3 is Python ${version.join('.')}` : `python3 does not work: ${lastLine(reply.output)}`, REMEDY)];
  }
  return reply.code === 0 ? [] : [fail(`python3 has no whole standard library: ${lastLine(reply.output)}`, REMEDY)];
}

export function parsePythonVersion(output: string): [number, number] | undefined {
  const match = /^Python (\d+)\.(\d+)$/m.exec(output);
  return match ? [Number(match[1]), Number(match[2])] : undefined;
}

const isEnough = ([major, minor]: [number, number]): boolean => major > MINIMUM[0] || (major === MINIMUM[0] && minor >= MINIMUM[1]);

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';
