#!/usr/bin/env node
import { listKeptHeads } from './agent/audit-witness';
import { printChecks } from './agent/doctor';
import { agentVersion } from './agent/version';
import { ClonedMachineError } from './agent/session';
import { type AgentConfig, loadAgentConfig, stateDirOf } from './config/agent';
import { ConfigError } from './config/env';
import { warnOfSettings } from './config/retired';
import { systemClock } from './lib/clock';
import { messageOf } from './lib/errors';
import { createLogger, jsonLineSink } from './lib/logger';
import { examineAsAgent, leaveAsAgent, startAgent, type AgentDeps } from './roles/agent';

const HELP = `orion-agent: makes this machine a node of an Orion fleet

  orion-agent             enrol and keep in touch until stopped
  orion-agent leave       hand over the leases, leave the fleet, remove what was made here
  orion-agent doctor      look whether this machine can be a node, before or after it enrols; changes nothing
                          (--json; ends with 1 when a check fails)
  orion-agent audit-head  print the newest head of the control plane's audit log that this machine keeps (one for each log):
                          compare it with the log by \`orion audit verify FILE --key KEY --head HEAD\`
  orion-agent --version

Environment: API_ENDPOINT (required), ORION_JOIN_TOKEN or ORION_JOIN_TOKEN_FILE, ORION_CONTROL_FINGERPRINT (which
control plane to trust; a join token says it too), MY_HOST_PORT (22), MY_HOSTNAME, MY_ADDRESS, ORION_LABELS (k=v,k=v),
ORION_UID_RANGE, ORION_TUNNEL (true), ORION_LOCAL_SSH, ORION_HOST_KEY_FILE, ORION_CA_FILE, LOG_LEVEL, https_proxy,
http_proxy, no_proxy. docs/settings.md describes them.
`;

/** Exit code (EX_CONFIG) that keeps what started the agent from starting it again: a person has to change the machine first. */
const CLONED = 78;

/** Aborts at the first SIGTERM or SIGINT; a second one ends the process at once. */
function stopSignal(): AbortSignal {
  const stopping = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      if (stopping.signal.aborted) {
        process.exit(1);
      }
      stopping.abort();
    });
  }
  return stopping.signal;
}

async function run(config: AgentConfig, deps: AgentDeps, signal: AbortSignal): Promise<number> {
  deps.logger.info('agent starts', { version: agentVersion, endpoint: config.endpoint, hostname: config.hostname });
  const role = await startAgent(config, deps);
  const stopped = new Promise<'stopped'>((resolve) => {
    signal.addEventListener('abort', () => resolve('stopped'), { once: true });
  });
  const outcome = await Promise.race([role.ended, role.failed, stopped]);
  await role.stop();
  if (outcome instanceof ClonedMachineError) {
    deps.logger.error('this machine is a copy of another: the agent stops', { reason: outcome.message });
    process.stderr.write(`orion-agent: ${outcome.message}\n`);
    return CLONED;
  }
  if (outcome instanceof Error) {
    deps.logger.error('agent failed', { error: outcome });
    return 1;
  }
  deps.logger.info('agent stops');
  return 0;
}

/** Prints what this machine lacks; 1 when that keeps it from being a node. */
async function examine(json: boolean): Promise<number> {
  const checks = await examineAsAgent(readConfig(), {
    logger: createLogger('silent', jsonLineSink, { role: 'agent' }),
    clock: systemClock,
  });
  process.stdout.write(json ? `${JSON.stringify({ checks })}\n` : printChecks(checks));
  return checks.some(({ result }) => result === 'fail') ? 1 : 0;
}

function readConfig(): AgentConfig | { faults: string[] } {
  try {
    return loadAgentConfig(process.env);
  } catch (error) {
    if (error instanceof ConfigError) {
      return { faults: error.faults };
    }
    throw error;
  }
}

async function main(args: string[]): Promise<number> {
  const [command = '', ...rest] = args;
  if (['--version', '--help', '-h'].includes(command)) {
    process.stdout.write(command === '--version' ? `${agentVersion}\n` : HELP);
    return 0;
  }
  const options = command === 'doctor' ? rest.filter((word) => word !== '--json') : rest;
  if (options.length > 0 || !['', 'leave', 'doctor', 'audit-head'].includes(command)) {
    process.stderr.write(`orion-agent: no such command: ${args.join(' ')}\n\n${HELP}`);
    return 1;
  }
  if (command === 'audit-head') {
    return showHeads();
  }
  return command === 'doctor' ? examine(rest.length > 0) : work(command === 'leave');
}

/** Prints the kept heads of the audit log, the newest log first. */
async function showHeads(): Promise<number> {
  const heads = await listKeptHeads(stateDirOf(process.env));
  process.stdout.write(heads.toReversed().join('\n'));
  if (heads.length === 0) {
    process.stderr.write('orion-agent: this machine keeps no head yet: the audit log is not sealed, or the agent has had no answer\n');
  }
  return heads.length === 0 ? 1 : 0;
}

async function work(leaving: boolean): Promise<number> {
  const config = loadAgentConfig(process.env);
  const deps: AgentDeps = { logger: createLogger(config.logLevel, jsonLineSink, { role: 'agent' }), clock: systemClock };
  warnOfSettings(process.env, deps.logger);
  const signal = stopSignal();
  if (leaving) {
    return (await leaveAsAgent(config, deps, signal)) ? 0 : 1;
  }
  return run(config, deps, signal);
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`orion-agent: ${messageOf(error)}\n`);
    process.exit(1);
  },
);
