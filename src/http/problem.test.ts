import express from 'express';
import { describe, expect, it } from '@jest/globals';
import request from 'supertest';
import { type ErrorCode, OrionError } from '../lib/errors';
import { silentLogger } from '../lib/logger';
import { createErrorHandler } from './problem';

const EXPECTED: Record<ErrorCode, number> = {
  invalid_request: 400,
  unauthenticated: 401,
  bad_credentials: 401,
  forbidden: 403,
  password_change_required: 403,
  not_found: 404,
  username_taken: 409,
  key_taken: 409,
  node_known: 409,
  host_key_changed: 409,
  host_key_in_use: 409,
  state_conflict: 409,
  node_retired: 410,
  body_too_large: 413,
  unsupported_media_type: 415,
  idempotency_key_reused: 422,
  quota_exceeded: 422,
  duration_too_long: 422,
  lease_over: 422,
  step_refused: 422,
  public_key_missing: 422,
  too_many_requests: 429,
  internal: 500,
  no_node_free: 503,
  provisioning_failed: 503,
  unavailable: 503,
};

async function answerTo(error: unknown, logger = silentLogger): Promise<request.Response> {
  const app = express();
  app.use((_req, res) => {
    res.locals['requestId'] = 'r1';
    throw error;
  });
  app.use(createErrorHandler(logger));
  return request(app).get('/');
}

describe('errors on the wire', () => {
  it.each(Object.entries(EXPECTED) as [ErrorCode, number][])('%s is %i', async (code, status) => {
    const answer = await answerTo(new OrionError(code, 'what to do', { details: { more: 1 }, retryAfterSeconds: 1.2 }));
    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(answer.headers['retry-after']).toBe('2');
    expect(answer.headers['www-authenticate'] !== undefined).toBe(status === 401);
    expect(answer.body).toMatchObject({ type: `urn:orion:problem:${code}`, status, code, detail: 'what to do', request_id: 'r1', more: 1 });
  });

  it('R44: anything else is a fault of the service and tells nothing of itself', async () => {
    const answer = await answerTo(new Error('SELECT secret FROM users'));
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain('SELECT');
    expect(answer.text).not.toContain('problem.ts');
  });

  it.each([
    [true, 0],
    [false, 1],
  ])('R40: logs an error that its batch has logged (%s) so many times more: %d', async (isLogged, times) => {
    const lines: string[] = [];
    const logger = { ...silentLogger, error: (message: string) => void lines.push(message) };
    await answerTo(new OrionError('unavailable', 'Try again.', { isLogged }), logger);
    expect(lines).toHaveLength(times);
  });

  it.each(['PROTOCOL_CONNECTION_LOST', 'ECONNREFUSED', 'ER_SERVER_SHUTDOWN'])(
    'I8: a database that is gone (%s) is 503, to be repeated',
    async (code) => {
      const answer = await answerTo(Object.assign(new Error('x'), { code }));
      expect(answer.status).toBe(503);
      expect(answer.headers['retry-after']).toBe('2');
    },
  );
});
