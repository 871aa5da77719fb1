import { loadAgentConfig } from '../../config/agent';
import type { Clock } from '../../lib/clock';
import { createLogger, jsonLineSink } from '../../lib/logger';

/** Takes this machine out of the fleet. Ends when that is done or at SIGTERM or SIGINT. Resolves with the exit code. */
export async function leaveFleet(env: NodeJS.ProcessEnv, clock: Clock): Promise<number> {
  const config = loadAgentConfig(env);
  const { leaveAsAgent } = await import('../../roles/agent');
  const stopping = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.once(name, () => stopping.abort());
  }
  const logger = createLogger(config.logLevel, jsonLineSink, { role: 'agent' });
  return (await leaveAsAgent(config, { logger, clock }, stopping.signal)) ? 0 : 1;
}
