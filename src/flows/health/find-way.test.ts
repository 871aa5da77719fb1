import { describe, expect, it } from '@jest/globals';
import type { ClaimedProbe } from '../../modules/nodes';
import type { ProbeResult, Reach } from '../../ssh';
import { type ProbedWay, probeSomeWay } from './find-way';

type Outcome = ProbeResult['outcome'];

interface Case {
  reach: Reach;
  tunnelled: boolean;
  directDue?: boolean;
  direct: Outcome;
  tunnel: Outcome;
}

async function find({ reach, tunnelled, directDue = false, ...ways }: Case): Promise<ProbedWay & { asked: Reach[]; awaited: boolean[] }> {
  const asked: Reach[] = [];
  const awaited: boolean[] = [];
  const prober = {
    probe: ({ reach: way = 'direct', awaitTunnel = true }: { reach?: Reach; awaitTunnel?: boolean }) => {
      asked.push(way);
      awaited.push(awaitTunnel);
      return Promise.resolve({ outcome: ways[way], durationMs: 1 } as ProbeResult);
    },
  };
  const claim = { nodeId: 1, address: '127.0.0.1', sshPort: 22, hostKey: 'ssh-ed25519 AAAA', reach, tunnelled, directDue } as ClaimedProbe;
  return { ...(await probeSomeWay(prober, claim)), asked, awaited };
}

describe('the way to a node', () => {
  const row = (
    given: Case,
    expected: { reach: Reach; outcome: Outcome; directFailed: boolean; asked: Reach[] },
  ): [Case, typeof expected] => [given, expected];

  it.each([
    // The direct transport worked last.
    row(
      { reach: 'direct', tunnelled: false, direct: 'ok', tunnel: 'failed' },
      { reach: 'direct', outcome: 'ok', directFailed: false, asked: ['direct'] },
    ),
    row(
      { reach: 'direct', tunnelled: true, direct: 'ok', tunnel: 'ok' },
      { reach: 'direct', outcome: 'ok', directFailed: false, asked: ['direct'] },
    ),
    row(
      { reach: 'direct', tunnelled: false, direct: 'failed', tunnel: 'ok' },
      { reach: 'direct', outcome: 'failed', directFailed: false, asked: ['direct'] },
    ),
    row(
      { reach: 'direct', tunnelled: true, direct: 'failed', tunnel: 'ok' },
      { reach: 'tunnel', outcome: 'ok', directFailed: true, asked: ['direct', 'tunnel'] },
    ),
    row(
      { reach: 'direct', tunnelled: true, direct: 'failed', tunnel: 'failed' },
      { reach: 'direct', outcome: 'failed', directFailed: false, asked: ['direct', 'tunnel'] },
    ),
    // Another machine uses the node's address. The tunnel decides, if there is one.
    row(
      { reach: 'direct', tunnelled: false, direct: 'host_key_changed', tunnel: 'ok' },
      { reach: 'direct', outcome: 'host_key_changed', directFailed: false, asked: ['direct'] },
    ),
    row(
      { reach: 'direct', tunnelled: true, direct: 'host_key_changed', tunnel: 'ok' },
      { reach: 'tunnel', outcome: 'ok', directFailed: true, asked: ['direct', 'tunnel'] },
    ),
    row(
      { reach: 'direct', tunnelled: true, direct: 'failed', tunnel: 'host_key_changed' },
      { reach: 'tunnel', outcome: 'host_key_changed', directFailed: true, asked: ['direct', 'tunnel'] },
    ),
    // The tunnel worked last.
    row(
      { reach: 'tunnel', tunnelled: true, direct: 'ok', tunnel: 'ok' },
      { reach: 'tunnel', outcome: 'ok', directFailed: false, asked: ['tunnel'] },
    ),
    row(
      { reach: 'tunnel', tunnelled: true, directDue: true, direct: 'ok', tunnel: 'ok' },
      { reach: 'direct', outcome: 'ok', directFailed: false, asked: ['tunnel', 'direct'] },
    ),
    row(
      { reach: 'tunnel', tunnelled: true, directDue: true, direct: 'failed', tunnel: 'ok' },
      { reach: 'tunnel', outcome: 'ok', directFailed: true, asked: ['tunnel', 'direct'] },
    ),
    row(
      { reach: 'tunnel', tunnelled: true, directDue: true, direct: 'host_key_changed', tunnel: 'ok' },
      { reach: 'tunnel', outcome: 'ok', directFailed: true, asked: ['tunnel', 'direct'] },
    ),
    row(
      { reach: 'tunnel', tunnelled: true, directDue: true, direct: 'ok', tunnel: 'failed' },
      { reach: 'tunnel', outcome: 'failed', directFailed: false, asked: ['tunnel'] },
    ),
    row(
      { reach: 'tunnel', tunnelled: false, direct: 'ok', tunnel: 'failed' },
      { reach: 'direct', outcome: 'ok', directFailed: false, asked: ['tunnel', 'direct'] },
    ),
    row(
      { reach: 'tunnel', tunnelled: false, direct: 'ok', tunnel: 'ok' },
      { reach: 'tunnel', outcome: 'ok', directFailed: false, asked: ['tunnel', 'direct'] },
    ),
    row(
      { reach: 'tunnel', tunnelled: false, direct: 'failed', tunnel: 'failed' },
      { reach: 'tunnel', outcome: 'failed', directFailed: true, asked: ['tunnel', 'direct'] },
    ),
    row(
      { reach: 'tunnel', tunnelled: false, direct: 'host_key_changed', tunnel: 'failed' },
      { reach: 'tunnel', outcome: 'failed', directFailed: true, asked: ['tunnel', 'direct'] },
    ),
  ])('%j', async (given, expected) => {
    expect(await find(given)).toMatchObject(expected);
  });

  it('a machine that was reached directly and is no more has lost its tunnel too: the next one is not waited for', async () => {
    expect((await find({ reach: 'direct', tunnelled: true, direct: 'failed', tunnel: 'failed' })).awaited).toEqual([true, false]);
    expect((await find({ reach: 'tunnel', tunnelled: true, direct: 'failed', tunnel: 'failed' })).awaited).toEqual([true]);
  });
});
