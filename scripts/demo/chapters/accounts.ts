import { checkEqual } from '../narrator';
import { createPerson, type Person } from '../person';
import type { Stage } from '../stage';

export interface People {
  ada: Person;
  bob: Person;
}

export async function openAccounts(stage: Stage): Promise<People> {
  const { narrator, anonymous } = stage;
  narrator.chapter('Accounts and tokens');
  const [ada, bob] = await narrator.step('ada and bob sign up, log in, and get access tokens', () =>
    Promise.all([createPerson(stage, 'ada'), createPerson(stage, 'bob')]),
  );
  await narrator.step('a wrong password is refused, and so is a call without a token', async () => {
    checkEqual(
      (await anonymous.post('/api/login', { username: 'ada', password: 'not her password' })).status,
      401,
      'the answer to a wrong password',
    );
    checkEqual((await anonymous.get('/api/leases')).status, 401, 'the answer to a call without a token');
    checkEqual((await anonymous.as('eyJhbGciOiJub25lIn0.e30.').get('/api/leases')).status, 401, 'the answer to a forged token');
  });
  await narrator.step("ada may not do what is an operator's", async () => {
    checkEqual((await ada.client.get('/api/users')).status, 403, 'the answer to ada wanting all accounts');
    checkEqual((await ada.client.post('/api/tokens', { name: 'mine' })).status, 403, 'the answer to ada wanting a join token');
  });
  return { ada, bob };
}
