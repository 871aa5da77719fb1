import { type Clock, withDeadline } from '../lib/clock';
import { messageOf } from '../lib/errors';
import type { SshTarget } from './dial';
import { HostKeyChangedError, runOnNode, type SessionSettings } from './session';

export interface ProbeResult {
  outcome: 'ok' | 'failed' | 'host_key_changed';
  /** Why the probe failed; null when it is ok. */
  reason: string | null;
  durationMs: number;
}

/** Checks whether a node accepts a login and runs a command. Never throws, and never takes longer than its deadline. */
export interface Prober {
  probe(target: SshTarget, signal?: AbortSignal): Promise<ProbeResult>;
}

export interface ProberDeps extends SessionSettings {
  clock: Clock;
  timeoutMs: number;
}

const ANSWER = 'orion-ok';

/** Creates a prober for full-login probes. They are slower than keepalive probes, and prove that a new login works. */
export function createProber(deps: ProberDeps): Prober {
  const ask = async (target: SshTarget, parent?: AbortSignal): Promise<Omit<ProbeResult, 'durationMs'>> => {
    try {
      const said = await withDeadline(deps.timeoutMs, (signal) => runOnNode(deps, target, { command: `echo ${ANSWER}`, signal }), parent);
      return said.split('\n').includes(ANSWER)
        ? { outcome: 'ok', reason: null }
        : { outcome: 'failed', reason: 'it answers, but not what it was asked' };
    } catch (error) {
      return { outcome: error instanceof HostKeyChangedError ? 'host_key_changed' : 'failed', reason: messageOf(error) };
    }
  };
  return {
    probe: async (target, signal) => {
      const startedAt = deps.clock.monotonicMs();
      return { ...(await ask(target, signal)), durationMs: deps.clock.monotonicMs() - startedAt };
    },
  };
}
