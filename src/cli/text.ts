/**
 * Machines enrol themselves and name themselves: what they say must not steer the terminal of whoever reads it. Control and
 * direction-changing characters become `?`.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?');
}

const UNITS: [seconds: number, name: string][] = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'min'],
  [1, 's'],
];

/** `2 h 5 min`: the two largest units; seconds are dropped from an hour on. */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const first = UNITS.findIndex(([size]) => whole >= size);
  if (first === -1) {
    return '0 s';
  }
  let rest = whole;
  const parts: string[] = [];
  for (const [size, name] of UNITS.slice(first, first + 2)) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) {
      parts.push(`${count} ${name}`);
    }
  }
  return parts.join(' ');
}

/** `2026-05-04 10:20:30 UTC`, or `-` for none. */
export function formatTime(iso: string | null | undefined): string {
  const at = new Date(iso ?? '');
  return Number.isNaN(at.getTime()) ? '-' : `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** `1.5 GiB`, of mebibytes as the API counts memory. */
export function formatMemory(mebibytes: number): string {
  return mebibytes < 1024 ? `${mebibytes} MiB` : `${Number((mebibytes / 1024).toFixed(1))} GiB`;
}

/** `gpu=a100 zone=b`, or `-` for none. */
export function formatLabels(labels: Record<string, string> | null | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([name, value]) => `${name}=${value}`);
  return pairs.length === 0 ? '-' : printable(pairs.sort().join(' '));
}
