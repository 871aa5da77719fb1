import { describe, expect, it } from '@jest/globals';
import { createLogger, type LogSink } from './logger';
import { createRecentLogs } from './recent-logs';

const time = { ms: 0 };
const clock = { now: () => new Date(time.ms), monotonicMs: () => time.ms };
const messagesOf = (lines: string[]): unknown[] => lines.map((line) => (JSON.parse(line) as { message: unknown }).message);

describe('recent log lines', () => {
  it('are those of the last ten minutes; warnings and errors stay longer; each line is also passed on', () => {
    const passed: string[] = [];
    const sink: LogSink = (_level, message) => void passed.push(message);
    const recent = createRecentLogs(clock);
    const logger = createLogger('info', recent.keep(sink));
    logger.info('early');
    logger.error('failed', { token: 'secret' });
    logger.debug('not wanted');
    time.ms += 601_000;
    logger.info('late');
    expect(messagesOf(recent.lines())).toEqual(['late']);
    expect(messagesOf(recent.faults())).toEqual(['failed']);
    expect(recent.faults().join('')).not.toContain('secret');
    expect(passed).toEqual(['early', 'failed', 'late']);
  });

  it('are bounded, whatever is logged', () => {
    const recent = createRecentLogs(clock);
    const logger = createLogger(
      'info',
      recent.keep(() => undefined),
    );
    for (let n = 0; n < 1_000; n += 1) {
      logger.error('flood', { n, text: 'x'.repeat(20_000) });
    }
    expect(recent.lines().join('').length).toBeLessThanOrEqual(2_000_000);
    expect(recent.lines().at(-1)).toContain('"n":999');
    expect(recent.faults()).toHaveLength(100);
  });
});
