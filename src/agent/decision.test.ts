import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createSeal } from '../lib/call-mac';
import { sha256 } from '../lib/ids';
import { interpret, interpretSealed, type Answer } from './answer';
import { heartbeatPauseSeconds, judgeAnswer, paceOf, retrySeconds } from './decision';
import { parseHeartbeatAnswer, parseRegistration, parseStatement } from './wire';

const refused = (status: number, extras: { code?: string; retryAfterSeconds?: number } = {}): Answer<unknown> => ({
  kind: 'refused',
  status,
  code: extras.code ?? '',
  detail: '',
  retryAfterSeconds: extras.retryAfterSeconds,
});
const failed: Answer<unknown> = { kind: 'failed', reason: 'no connection' };

describe('the decision on an answer', () => {
  it.each<[Answer<unknown>, string]>([
    [{ kind: 'ok', value: 1 }, 'accepted'],
    [refused(401), 'unauthenticated'],
    [refused(403), 'unauthenticated'],
    [refused(410, { code: 'node_retired' }), 'retired'],
    [refused(410), 'try_again'],
    [refused(404, { code: 'node_retired' }), 'try_again'],
    [refused(503), 'try_again'],
    [failed, 'try_again'],
  ])('%j is %s', (answer, decision) => {
    expect(judgeAnswer(answer)).toBe(decision);
  });

  it('waits at least 0.5 s and at most 30 s, and longer only when asked to or shut out', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (failures, random) => {
        const at = { random, ...paceOf(0) };
        const seconds = retrySeconds(failed, failures, at);
        expect(seconds).toBeGreaterThanOrEqual(0.5);
        expect(seconds).toBeLessThanOrEqual(30);
        expect(retrySeconds(refused(401), failures, at)).toBeLessThanOrEqual(300);
        expect(retrySeconds(refused(503, { retryAfterSeconds: 90 }), failures, at)).toBeGreaterThanOrEqual(90);
        expect(retrySeconds(refused(503, { retryAfterSeconds: 999_999 }), failures, at)).toBeLessThanOrEqual(3600);
      }),
    );
  });

  it('calls again within the contact limit, even when a call got lost, and again as often as it calls anyway', () => {
    expect(paceOf(0)).toEqual({ timeoutMs: 10_000, maxRetrySeconds: 30 });
    expect(paceOf(15)).toEqual({ timeoutMs: 7500, maxRetrySeconds: 5 });
    expect(paceOf(0.5)).toEqual({ timeoutMs: 1000, maxRetrySeconds: 1 });
    fc.assert(
      fc.property(fc.double({ min: 4, max: 86_400, noNaN: true }), fc.double({ min: 0, max: 0.999, noNaN: true }), (limit, random) => {
        const { timeoutMs, maxRetrySeconds } = paceOf(limit);
        const second =
          heartbeatPauseSeconds(Math.min(5, limit / 3), 0.999) + timeoutMs / 1000 + retrySeconds(failed, 1, { random, maxRetrySeconds });
        expect(second).toBeLessThan(limit * 1.2);
      }),
    );
  });

  it('comes back from a restart of the control plane over the interval, not as a herd', () => {
    const [agents, interval, awaySeconds] = [1000, 5, 10];
    const pace = paceOf(15, interval);
    // No replica listens from time 0 on. The failed first calls of the agents are spread over the interval.
    const backAt = Array.from({ length: agents }, (_, agent) => {
      let at = (agent / agents) * interval;
      for (let failures = 1; at < awaySeconds; failures += 1) {
        at += retrySeconds(failed, failures, { random: Math.random(), ...pace });
      }
      return at;
    });
    const inSecond = backAt.reduce(
      (counts, at) => counts.set(Math.floor(at), (counts.get(Math.floor(at)) ?? 0) + 1),
      new Map<number, number>(),
    );
    expect(Math.max(...backAt)).toBeLessThanOrEqual(awaySeconds + interval);
    expect(Math.max(...inSecond.values())).toBeLessThan(0.5 * agents);
  });

  it('lets an agent that was told to call seldom try again as seldom', () => {
    expect(paceOf(15, 5)).toEqual(paceOf(15));
    expect(paceOf(15, 60)).toEqual({ timeoutMs: 10_000, maxRetrySeconds: 30 });
    expect(paceOf(0, 60)).toEqual(paceOf(0));
  });

  it('spreads heartbeats by a tenth of the interval', () => {
    expect(heartbeatPauseSeconds(10, 0)).toBeCloseTo(9);
    expect(heartbeatPauseSeconds(10, 0.999)).toBeCloseTo(11, 1);
  });
});

describe('the meaning of an HTTP answer', () => {
  const http = (status: number, body: unknown, extras = {}) => ({
    status,
    text: typeof body === 'string' ? body : JSON.stringify(body),
    retryAfterSeconds: undefined,
    location: undefined,
    seal: undefined,
    ...extras,
  });
  const offer = {
    control_key: 'ssh-ed25519 AAAA',
    statement: { text: '{}', signature: 's' },
    successors: [{ by: 'ssh-ed25519 BBBB', text: '{}', signature: 't' }],
  };
  const good = {
    node_id: 7,
    status: 'unknown',
    heartbeat_interval_seconds: 10,
    management: { username: 'orion-mgmt', public_keys: ['x'], ...offer },
  };

  it('takes a good registration', () => {
    expect(
      interpret(http(201, { ...good, server_key: 'k', signature: 's', credential: 'orion_node_from_the_wire' }), parseRegistration),
    ).toEqual({
      kind: 'ok',
      value: {
        nodeId: '7',
        status: 'unknown',
        credential: undefined,
        serverKey: 'k',
        signature: 's',
        heartbeatIntervalSeconds: 10,
        offer: { controlKey: offer.control_key, statement: offer.statement, successors: offer.successors },
      },
    });
  });

  it('does not look at keys that nobody signed', () => {
    const { offer: none } = parseRegistration({ ...good, management: { username: 'orion-mgmt', public_keys: ['x'] } });
    expect(none).toBeUndefined();
    expect(() => parseStatement(JSON.stringify({ username: 'orion-mgmt', public_keys: [1], serial: 1 }))).toThrow('public_keys');
    expect(parseStatement(JSON.stringify({ username: 'orion-mgmt', public_keys: ['x'], serial: 1 }))).toEqual({
      management: { username: 'orion-mgmt', publicKeys: ['x'] },
      serial: 1,
    });
  });

  it("believes a success, and that the node is retired, only when it is sealed with the node's key", () => {
    const [credential, nonce] = ['orion_node_abc', 'a-nonce-of-mine'];
    for (const status of [200, 410]) {
      const { text } = http(status, good);
      const seal = createSeal(sha256(credential), nonce)(status, text);
      const meant = interpretSealed(http(status, good, { seal }), { credential, nonce }, parseRegistration).kind;
      expect(meant).toBe(status === 200 ? 'ok' : 'refused');
      for (const changed of [
        { seal: undefined },
        { seal: `${seal.slice(0, -1)}_` },
        { seal, text: text.replace('7', '8') },
        { seal, status: 201 },
      ]) {
        expect(interpretSealed(http(status, good, changed), { credential, nonce }, parseRegistration).kind).toBe('failed');
      }
      expect(interpretSealed(http(status, good, { seal }), { credential, nonce: 'another-nonce' }, parseRegistration).kind).toBe('failed');
    }
    expect(interpretSealed(http(503, {}), { credential, nonce }, parseRegistration).kind).toBe('refused');
  });

  it('keeps a hostile interval within bounds', () => {
    expect(parseRegistration({ ...good, heartbeat_interval_seconds: 0 }).heartbeatIntervalSeconds).toBe(0.2);
    expect(parseRegistration({ ...good, heartbeat_interval_seconds: 1e9 }).heartbeatIntervalSeconds).toBe(3600);
  });

  it.each([
    ['garbage', '<html>'],
    ['a list', []],
    ['nothing', 'null'],
    ['no id', { ...good, node_id: undefined }],
    ['a statement that is no signed text', { ...good, management: { ...offer, statement: 'x' } }],
    ['an interval that is no number', { ...good, heartbeat_interval_seconds: '10' }],
  ])('fails on %s', (_what, body) => {
    expect(interpret(http(200, body), parseRegistration).kind).toBe('failed');
  });

  it('fails on a redirect and says where it led', () => {
    expect(interpret(http(302, '', { location: 'http://elsewhere' }), parseRegistration)).toMatchObject({
      kind: 'failed',
      reason: expect.stringContaining('http://elsewhere') as unknown,
    });
  });

  it('takes the code and the detail of a problem', () => {
    expect(interpret(http(409, { code: 'node_known', detail: 'ask' }), parseRegistration)).toMatchObject({
      kind: 'refused',
      code: 'node_known',
      detail: 'ask',
    });
    expect(interpret(http(502, 'Bad gateway'), parseRegistration)).toMatchObject({ kind: 'refused', status: 502, code: '' });
  });

  it('takes a contact limit, and none from a control plane that knows of none', () => {
    const answer = { status: 'alive', heartbeat_interval_seconds: 10 };
    expect(parseHeartbeatAnswer(answer).contactLimitSeconds).toBe(0);
    expect(parseHeartbeatAnswer({ ...answer, contact_limit_seconds: 15 }).contactLimitSeconds).toBe(15);
    expect(() => parseHeartbeatAnswer({ ...answer, contact_limit_seconds: '15' })).toThrow('contact_limit_seconds');
    expect(() => parseHeartbeatAnswer({ ...answer, contact_limit_seconds: 1e9 })).toThrow('contact_limit_seconds');
  });

  it('fails on a remaining time that is no usable number', () => {
    const answer = { status: 'alive', heartbeat_interval_seconds: 10, accounts: [{ username: 'orn-a', remaining_seconds: 1e300 }] };
    expect(() => parseHeartbeatAnswer(answer)).toThrow('remaining_seconds');
  });
});
