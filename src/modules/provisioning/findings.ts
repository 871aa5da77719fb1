const MAX_FINDINGS = 200;

/**
 * Parses the output of files/verify_clean.sh: lines `FOUND <kind> <what>` and `UNEXAMINED <type> <path>`, and at the end `VERIFIED <how
 * many found>`. Returns undefined unless the last line is there and its count matches, because a verification that was cut short proves
 * nothing.
 */
export function parseFindings(stdout: string): { findings: string[]; notExamined: string[] } | undefined {
  const lines = stdout.split(/\r?\n/).filter((line) => line !== '');
  const count = /^VERIFIED (\d+)$/.exec(lines.at(-1) ?? '')?.[1];
  const after = (word: string): string[] => lines.filter((line) => line.startsWith(word)).map((line) => line.slice(word.length));
  const findings = after('FOUND ');
  if (count === undefined || findings.length !== Math.min(Number(count), MAX_FINDINGS)) {
    return undefined;
  }
  return { findings, notExamined: after('UNEXAMINED ') };
}
