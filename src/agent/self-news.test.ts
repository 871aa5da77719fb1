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

  it.each([['its address', self, '10.0.0.2'], ['its processors', { ...self, facts: { ...facts, cpus: 4 } }, '10.0.0.1'], ['its name', { ...self, hostname: 'b' }, '10.0.0.1']])('is told when %s changed, until it is accepted', (_what, changed, addresses) => {
    let nowMs = 0;
    const news = createSelfNews({ monotonicMs: () => nowMs });
    news.registered(self);
    news.pick(self, '10.0.0.1');
    expect([news.pick(changed, addresses), news.pick(changed, addresses)]).toEqual([changed, changed]);
    news.answered(false);
    expect(news.pick(changed, addresses)).toBeUndefined();
    nowMs += 15_000;
    expect(news.pick(changed, addresses)).toEqual(changed);
    news.answered(true);
    expect(news.pick(changed, addresses)).toBeUndefined();
    expect(news.pick(self, '10.0.0.1')).toEqual(self);
    // A control plane of the release before.
    news.answered(undefined);
    expect(news.pick(self, '10.0.0.1')).toBeUndefined();
  });

  it('is told when it changed between the registration and the first heartbeat', () => {
    const news = createSelfNews({ monotonicMs: () => 0 });
    news.registered(self);
    expect(news.pick({ ...self, hostname: 'b' }, '10.0.0.1')).toEqual({ ...self, hostname: 'b' });
  });
});
