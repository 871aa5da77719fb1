/**
 * Replaces control characters and characters that change text direction by `?`. Machines enrol themselves and choose their names, so this
 * text could otherwise control the terminal of the reader.
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

/** Formats `2 h 5 min`: the two largest units. From one hour on, seconds are dropped. */
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

/** Formats `2026-05-04 10:20:30 UTC`, or `-` without a time. */
export function formatTime(iso: string | null | undefined): string {
  const at = new Date(iso ?? '');
  return Number.isNaN(at.getTime()) ? '-' : `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** Formats mebibytes, the API's unit of memory, as `1.5 GiB`. */
export function formatMemory(mebibytes: number): string {
  return mebibytes < 1024 ? `${mebibytes} MiB` : `${Number((mebibytes / 1024).toFixed(1))} GiB`;
}

/** Formats `gpu=a100 zone=b`, or `-` without labels. */
export function formatLabels(labels: Record<string, string> | null | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([name, value]) => `${name}=${value}`);
  return pairs.length === 0 ? '-' : printable(pairs.sort().join(' '));
}
