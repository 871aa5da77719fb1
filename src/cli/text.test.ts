import { describe, expect, it } from '@jest/globals';
import { formatLabels, formatMemory, formatSeconds, formatTime, printable } from './text';

describe('text for people', () => {
  it.each([
    [-5, '0 s'],
    [0, '0 s'],
    [59.9, '59 s'],
    [60, '1 min'],
    [61, '1 min 1 s'],
    [7200, '2 h'],
    [7505, '2 h 5 min'],
    [90_000, '1 d 1 h'],
    [86_460, '1 d'],
  ])('says %d seconds as %s', (seconds, text) => {
    expect(formatSeconds(seconds)).toBe(text);
  });

  it("says times in UTC, whatever the machine's zone, and none as a dash", () => {
    expect(formatTime('2026-05-04T10:20:30.123Z')).toBe('2026-05-04 10:20:30 UTC');
    expect([formatTime(null), formatTime(undefined), formatTime('soon')]).toEqual(['-', '-', '-']);
  });

  it('counts memory in binary units', () => {
    expect([formatMemory(512), formatMemory(1536), formatMemory(4096)]).toEqual(['512 MiB', '1.5 GiB', '4 GiB']);
  });

  it('disarms control characters and text direction', () => {
    expect(printable('a\x1b[31mb\u202ec\n')).toBe('a?[31mb?c?');
  });

  it('sorts labels', () => {
    expect([formatLabels({ zone: 'b', gpu: 'x' }), formatLabels({})]).toEqual(['gpu=x zone=b', '-']);
  });
});
