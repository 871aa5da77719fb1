const MAX_FINDINGS = 200;

/**
 * Reads what files/verify_clean.sh printed: `FOUND <kind> <what>` lines and `VERIFIED <how many>` at last. Undefined unless the
 * last line is there and fits: a look that was cut short proves nothing.
 */
export function parseFindings(stdout: string): string[] | undefined {
  const lines = stdout.split(/\r?\n/).filter((line) => line !== '');
  const count = /^VERIFIED (\d+)$/.exec(lines.at(-1) ?? '')?.[1];
  const findings = lines.filter((line) => line.startsWith('FOUND ')).map((line) => line.slice('FOUND '.length));
  if (count === undefined || findings.length !== Math.min(Number(count), MAX_FINDINGS)) {
    return undefined;
  }
  return findings;
}
