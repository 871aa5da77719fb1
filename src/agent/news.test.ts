import { describe, expect, it } from '@jest/globals';
import { createNews } from './news';

const vitals = { load1: 1, memory_free_mb: 1000, disk_free_mb: 10_000 };

let nowMs = 0;

describe('what an agent says of its machine', () => {
  it('is said once, and again until it was accepted', () => {
    const news = createNews({ monotonicMs: () => nowMs });
    expect(news.pick(vitals)).toEqual(vitals);
    expect(news.pick(vitals)).toEqual(vitals);
    news.accepted();
    expect(news.pick(vitals)).toEqual({});
    news.accepted();
    expect(news.pick({ ...vitals, load1: 1.4, memory_free_mb: 1090, disk_free_mb: 9100 })).toEqual({});
  });

  it('again after ten minutes: what was said may be lost', () => {
    const news = createNews({ monotonicMs: () => nowMs });
    news.pick(vitals);
    news.accepted();
    nowMs += 601_000;
    expect(news.pick(vitals)).toEqual(vitals);
    news.accepted();
    expect(news.pick(vitals)).toEqual({});
  });

  it.each([{ load1: 0.5 }, { load1: 1.5 }, { memory_free_mb: 890 }, { disk_free_mb: 11_100 }])(
    'all of it when %j has moved noticeably',
    (change) => {
      const news = createNews({ monotonicMs: () => nowMs });
      news.pick(vitals);
      news.accepted();
      expect(news.pick({ ...vitals, ...change })).toEqual({ ...vitals, ...change });
    },
  );
});
