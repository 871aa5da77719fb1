import { violationOf } from '../../checker/evidence';
import { eventually } from '../../lab';
import { type Answer, createApiClient, expectStatus } from '../../support/api-client';
import type { FaultInjection } from './arena';

/** What was promised: an account that is closed has nothing after this time. */
const LIMIT_MS = 5_000;

const found = violationOf('trust');

const people: FaultInjection = {
  name: 'people',
  promise:
    'a user gets a password by a one-time code, rents and is disabled: the code works once, and after 5 s no token is good and no lease runs',
  inject: async ({ system, tenant, history, first, second, found: violations }) => {
    const eve = await tenant();
    const lease = expectStatus(
      (await history.rent(eve, { key: 'people' })) ?? { status: 0, headers: new Headers(), body: { leases: [], password: null } },
      201,
    ).leases[0];
    const { body } = await system.admin.post<{ code: string }>(`/api/users/${eve.userId}/reset-password`, {});
    const [user] = await system.sql<{ username: string }>('SELECT username FROM users WHERE id = ?', [eve.userId]);
    const use = (url: string, password: string): Promise<Answer<{ token: string }>> =>
      createApiClient(url).post('/api/password', { username: user?.username, code: body.code, new_password: password });
    const { token } = expectStatus(await use(first.url, 'the first new password'), 200);
    if ((await use(second.url, 'the second new password')).status === 200) {
      violations.push(found(`user ${eve.userId}`, 'a one-time code sets a second password'));
    }
    const client = createApiClient(second.url, token);
    expectStatus(await client.get('/api/leases'), 200);
    expectStatus(await system.admin.patch(`/api/users/${eve.userId}`, { disabled: true }), 200);
    if ((await client.get('/api/leases')).status !== 401) {
      violations.push(found(`user ${eve.userId}`, 'a disabled user is let in'));
    }
    const isOver = async (): Promise<boolean> =>
      (await system.sql('SELECT id FROM leases WHERE id = ? AND state = ?', [lease?.id ?? 0, 'ended'])).length === 1;
    if (
      !(await eventually(isOver, { what: 'the lease ends', timeoutMs: LIMIT_MS, everyMs: 100 }).then(
        () => true,
        () => false,
      ))
    ) {
      violations.push(found(`lease ${lease?.id ?? 0}`, 'it outlived the account of its owner'));
    }
  },
};

export const OF_PEOPLE: FaultInjection[] = [people];
