import { existsSync, readdirSync } from 'node:fs';

/** Returns an environment that shifts the wall clock of one process, by libfaketime. Monotonic clocks do not change. */
export function skewed(seconds: number): Record<string, string> {
  const [library] = readdirSync('/usr/lib')
    .map((dir) => `/usr/lib/${dir}/faketime/libfaketimeMT.so.1`)
    .filter((file) => existsSync(file));
  if (library === undefined) {
    throw new Error('libfaketime is missing: run scripts/install-deps.sh');
  }
  return { LD_PRELOAD: library, FAKETIME: `${seconds > 0 ? '+' : '-'}${Math.abs(seconds)}s`, FAKETIME_DONT_FAKE_MONOTONIC: '1' };
}
