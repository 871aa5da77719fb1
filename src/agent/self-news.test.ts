import { describe, expect, it } from '@jest/globals';
import { createSelfNews } from './self-news';
import type { SelfReport } from './wire';

const facts = { cpus: 2, memory_mb: 2000, disk_mb: 9000, os: 'Debian', arch: 'x86_64', kernel: '6.1', gpu: '', agent_version: '1' };
const self: SelfReport = { hostname: 'a', ssh_port: 22, labels: {}, facts };

describe('what a machine says of itself', () => {
  it('is in no heartbeat while it is as it registered', () => {
    const news = createSelfNews({ monotonicMs: () => 0 });
    news.registered(self);
    expect([news.pick(self, '10.0.0.1'), news.pick(self, '10.0.0.1')]).toEqual([undefined, undefined]);
  });

  it.each([
    ['its address', self, '10.0.0.2'],
    ['its processors', { ...self, facts: { ...facts, cpus: 4 } }, '10.0.0.1'],
    ['its name', { ...self, hostname: 'b' }, '10.0.0.1'],
  ])('is told when %s changed, until it is accepted', (_what, changed, addresses) => {
    let nowMs = 0;
    const news = createSelfNews({ monotonicMs: () => nowMs });
    news.registered(self);
    news.pick(self, '10.0.0.1');
    // After an unanswered report, the next heartbeat contains none: the report may have caused the timeout.
    expect([1, 2, 3].map(() => news.pick(changed, addresses))).toEqual([changed, undefined, changed]);
    news.answered(false);
    expect(news.pick(changed, addresses)).toBeUndefined();
    nowMs += 15_000;
    expect(news.pick(changed, addresses)).toEqual(changed);
    news.answered(true);
    expect(news.pick(changed, addresses)).toBeUndefined();
    expect(news.pick(self, '10.0.0.1')).toEqual(self);
    // A control plane of the previous release does not answer the report.
    news.answered(undefined);
    expect(news.pick(self, '10.0.0.1')).toBeUndefined();
  });

  it('is told when it changed between the registration and the first heartbeat', () => {
    const news = createSelfNews({ monotonicMs: () => 0 });
    news.registered(self);
    expect(news.pick({ ...self, hostname: 'b' }, '10.0.0.1')).toEqual({ ...self, hostname: 'b' });
  });

  it('does not tell that a file system grew by a part that is hardly seen, however often', () => {
    const news = createSelfNews({ monotonicMs: () => 0 });
    const withDisk = (disk_mb: number): SelfReport => ({ ...self, facts: { ...facts, disk_mb } });
    news.registered(withDisk(10_000));
    expect([10_000, 10_100, 9_900, 10_400].map((disk) => news.pick(withDisk(disk), ''))).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect(news.pick(withDisk(11_000), '')).toEqual(withDisk(11_000));
  });
});
