import type { Answer } from '../../src/agent/answer';
import { type ControlPlane, createControlPlane } from '../../src/agent/control-plane';
import { createNews } from '../../src/agent/news';
import { createRest } from '../../src/agent/rest';
import { runSession } from '../../src/agent/session';
import { paceOf } from '../../src/agent/decision';
import { parseStatement } from '../../src/agent/wire';
import type { Clock } from '../../src/lib/clock';
import { silentLogger } from '../../src/lib/logger';
import { createHistogram, type Histogram, record } from './histogram';
import { identityOf, signAsSimulated } from './identity';
import type { Lanes } from './lanes';

export interface AgentFigures {
  registered: number;
  heartbeats: number;
  /** Neither: refused, or no answer in time. */
  failures: number;
  /** Agents whose last answer is older than two and a half times the interval that came with it. */
  overdue: number;
  /** Seconds to the next heartbeat, as it was told last. */
  intervalSeconds: number;
  /** From the call to its answer, in milliseconds. */
  answers: Histogram;
  /** How much later than its pause was over a node called: above a few milliseconds the simulator itself has too much to do. */
  late: Histogram;
}

export interface AgentsOptions {
  secret: string;
  first: number;
  count: number;
  sshPort: number;
  /** Undefined: the nodes are in the database already, and no agent registers. */
  joinToken: string | undefined;
  /** They begin so many a second. */
  beginPerSecond: number;
  lanes: Lanes;
  clock: Clock;
  /** Told of the control plane's keys. */
  admit: (publicKey: string) => void;
}

/**
 * Runs the session of the real agent for each node of the range; only its HTTP connection, its disk and its facts are not real. Never ends.
 * Gives the figures as they are.
 */
export function runAgents(options: AgentsOptions): () => AgentFigures {
  const { clock, count } = options;
  const figures: AgentFigures = {
    registered: 0,
    heartbeats: 0,
    failures: 0,
    overdue: 0,
    intervalSeconds: 0,
    answers: createHistogram(),
    late: createHistogram(),
  };
  const overdueAtMs = new Float64Array(count).fill(Infinity);
  const measuring = measuringClock(clock, figures.late);
  for (let nth = 0; nth < count; nth += 1) {
    const onAnswer = (intervalSeconds: number): void => {
      figures.intervalSeconds = Math.max(figures.intervalSeconds, intervalSeconds);
      overdueAtMs[nth] = clock.monotonicMs() + OVERDUE_INTERVALS * intervalSeconds * 1000;
    };
    void clock
      .sleep((nth * 1000) / options.beginPerSecond)
      .then(() => runAgent(options, { node: options.first + nth, clock: measuring, figures, onAnswer }));
  }
  return () => {
    const now = clock.monotonicMs();
    return { ...figures, overdue: overdueAtMs.filter((at) => at < now).length };
  };
}

const OVERDUE_INTERVALS = 2.5;

/** Agents are ended with their process: no sleep has to be called off. */
function measuringClock(clock: Clock, late: Histogram): Clock {
  return {
    ...clock,
    sleep: async (ms) => {
      const startedAt = clock.monotonicMs();
      await clock.sleep(ms);
      record(late, clock.monotonicMs() - startedAt - ms);
    },
  };
}

interface Running {
  node: number;
  clock: Clock;
  figures: AgentFigures;
  onAnswer: (intervalSeconds: number) => void;
}

function runAgent(options: AgentsOptions, { node, clock, figures, onAnswer }: Running): Promise<unknown> {
  const { hostname, address, hostKey, credential: seeded } = identityOf(options.secret, node);
  let credential = options.joinToken === undefined ? seeded : undefined;
  let contactLimitSeconds = 0;
  const news = createNews(clock);
  const common = { ssh_port: options.sshPort };
  return runSession(
    {
      controlPlane: controlPlaneOver(options, figures, node),
      credentials: {
        find: () => Promise.resolve(credential),
        save: (given) => {
          credential = given;
          return Promise.resolve();
        },
        clear: () => Promise.resolve(),
      },
      clock,
      logger: silentLogger,
      describeSelf: () =>
        Promise.resolve({
          ...common,
          host_key: hostKey,
          hostname,
          address,
          labels: { room: `lab-${node % 10}` },
          facts: {
            cpus: 1 + (node % 8),
            memory_mb: 1024 * (1 + (node % 8)),
            disk_mb: 20_000,
            os: 'simulated',
            arch: 'x86_64',
            gpu: '',
            kernel: 'none',
            agent_version: '0',
          },
        }),
      describeState: () =>
        Promise.resolve({
          ...common,
          ...news.pick({ load1: Math.random() * 0.6, memory_free_mb: 512, disk_free_mb: 10_000 }),
          accounts: [],
          ended_accounts: [],
          key_expiries: [],
        }),
      readHostKey: () => Promise.resolve(hostKey),
      applyManagement: (offer) => {
        (offer ? parseStatement(offer.statement.text).management.publicKeys : []).forEach(options.admit);
        return Promise.resolve();
      },
      onHeartbeat: (answer) => {
        contactLimitSeconds = answer.contactLimitSeconds;
        news.accepted();
        onAnswer(answer.heartbeatIntervalSeconds);
        return Promise.resolve();
      },
      pace: (intervalSeconds) => paceOf(contactLimitSeconds, intervalSeconds),
      rest: createRest(clock),
      onRegistered: () => undefined,
      watchful: true,
    },
    // One for all would have 100,000 listeners.
    new AbortController().signal,
  );
}

/** The real agent's calls, over lanes. Whom it trusts is tested elsewhere; here it costs nothing. */
function controlPlaneOver({ lanes, clock, joinToken, secret }: AgentsOptions, figures: AgentFigures, node: number): ControlPlane {
  const controlPlane = createControlPlane({
    post: async (call) => {
      const startedAt = clock.monotonicMs();
      try {
        return await lanes.post(call);
      } finally {
        record(figures.answers, clock.monotonicMs() - startedAt);
      }
    },
    trust: { demand: () => Promise.resolve(), believe: () => Promise.resolve() },
    mark: { around: (work) => work(undefined) },
    signAsHost: (message) => Promise.resolve(signAsSimulated(secret, node, message)),
    joinToken,
  });
  const counted = async <T>(answer: Promise<Answer<T>>, done: 'registered' | 'heartbeats'): Promise<Answer<T>> => {
    const { kind } = await answer;
    figures[kind === 'ok' ? done : 'failures'] += 1;
    return answer;
  };
  return {
    ...controlPlane,
    register: (body, credential) =>
      joinToken === undefined
        ? Promise.resolve({
            kind: 'ok',
            value: {
              nodeId: '0',
              status: 'alive',
              credential: undefined,
              serverKey: undefined,
              signature: undefined,
              offer: undefined,
              heartbeatIntervalSeconds: 1,
            },
          })
        : counted(controlPlane.register(body, credential), 'registered'),
    heartbeat: (body, credential, options) => counted(controlPlane.heartbeat(body, credential, options), 'heartbeats'),
  };
}
