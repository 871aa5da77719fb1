import { describe, expect, it } from '@jest/globals';
import { ENDPOINTS } from '../../../src/contract/endpoints';
import { aUser } from '../../support/builders';
import { checkAnswer } from '../../support/check-answer';
import { useTestApi, useTestDatabase } from '../../support/hooks';

describe('the contract', () => {
  const database = useTestDatabase();
  const api = useTestApi(database);

  it('has every call that the API answers, and no other', async () => {
    const { body } = await api.call<{ paths: Record<string, object> }>('get', '/api/openapi.json');
    const served = Object.entries(body.paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method} ${path}`));
    expect(served.toSorted()).toEqual(ENDPOINTS.map(({ method, path }) => `${method} ${path}`).toSorted());
  });

  it('is what answers in tests are checked against: a member less or more is an error', async () => {
    const { body } = await api.call<object>('get', '/api/me', { as: await aUser(database.db) });
    const check = (answer: unknown, status = 200): void => checkAnswer({ method: 'get', path: '/api/me', status, body: answer });
    check(body);
    expect(() => check({})).toThrow('does not allow');
    expect(() => check({ ...body, surprise: 1 })).toThrow('does not have');
    expect(() => check({ code: 'forbidden' }, 403)).toThrow('does not allow');
  });
});
