import { messageOf } from '../../lib/errors';
import { interpret } from '../answer';
import type { Post } from '../control-plane';
import type { HttpAnswer } from '../http';
import { parseChallenge } from '../wire';
import { fail, warn, type Examination, type Finding } from './check';

export interface ContactDeps {
  endpoint: string;
  /** Sends requests in the same way as the agent. */
  post: Post;
  /** Rejects when the agent would refuse to enrol because no setting names the control plane to trust. */
  trust: () => Promise<void>;
  now: () => Date;
}

const TIMEOUT_MS = 8000;
const MAX_SKEW_SECONDS = 60;
const REACH =
  'look at API_ENDPOINT, DNS, the firewall and ORION_CA_FILE; the machine must reach the control plane, not the other way round';

/** Makes two checks from one request. Every agent sends this request before it enrols, and it changes nothing. */
export function contactExaminations(deps: ContactDeps): Examination[] {
  const { endpoint, post, trust, now } = deps;
  const called = post({ path: '/api/workers/challenge', body: '{}', headers: {}, timeoutMs: TIMEOUT_MS, signal: undefined }).then(
    (answer) => ({ answer, at: now() }),
    (error: unknown) => ({ reason: messageOf(error) || 'no connection' }),
  );
  return [
    {
      name: 'control-plane',
      examine: async () => {
        const outcome = await called;
        const findings =
          'answer' in outcome ? answerFindings(endpoint, outcome.answer) : [fail(`${endpoint} does not answer: ${outcome.reason}`, REACH)];
        const untrusted = await trust().then(
          () => [],
          (error: unknown) => [fail(messageOf(error), 'set ORION_CONTROL_FINGERPRINT')],
        );
        return [...findings, ...untrusted];
      },
    },
    {
      name: 'clock',
      examine: async () => {
        const outcome = await called;
        return 'answer' in outcome ? clockFindings(outcome.answer.date, outcome.at) : [];
      },
    },
  ];
}

function answerFindings(endpoint: string, answer: HttpAnswer): Finding[] {
  const meaning = interpret(answer, parseChallenge);
  if (meaning.kind === 'ok') {
    return [];
  }
  const cause =
    meaning.kind === 'failed'
      ? `${endpoint} is no control plane of this release: ${meaning.reason}`
      : `${endpoint} answers ${meaning.status} ${meaning.detail}`;
  const passes = meaning.kind === 'refused' && (meaning.status >= 500 || meaning.status === 429);
  return [
    passes
      ? warn(cause, 'the agent tries again by itself; look at the control plane if it lasts')
      : fail(cause, 'look at API_ENDPOINT: it is the base URL of the control plane'),
  ];
}

/** Compares the clocks. Orion measures only by the control plane's clock, but people and certificates depend on this one. */
export function clockFindings(date: string | undefined, now: Date): Finding[] {
  const skewSeconds = Math.round((now.getTime() - Date.parse(date ?? '')) / 1000);
  const direction = skewSeconds > 0 ? 'ahead of' : 'behind';
  return Math.abs(skewSeconds) > MAX_SKEW_SECONDS
    ? [
        warn(
          `the clock is ${Math.abs(skewSeconds)} s ${direction} the control plane's`,
          'let the machine keep time by NTP (timedatectl set-ntp true)',
        ),
      ]
    : [];
}
