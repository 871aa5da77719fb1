import type { AuditWitness } from './audit-witness';
import type { ControlTrust } from './control-trust';
import { readVitals } from './facts';
import type { Fence } from './fence';
import type { KeyExpiries } from './key-expiry';
import type { News } from './news';
import { isOrionAccount, listAccounts } from './passwd';
import type { Self } from './self';
import type { HeartbeatBody } from './wire';

/** The parts of the agent that have something to report. */
interface StateSources {
  fence: Pick<Fence, 'listEnded'>;
  expiries: Pick<KeyExpiries, 'listAstray'>;
  news: Pick<News, 'pick'>;
  self: Pick<Self, 'news'>;
  trust: Pick<ControlTrust, 'statementHash'>;
  witness: Pick<AuditWitness, 'describe'>;
}

/** Describes this machine for a heartbeat. */
export async function describeState(
  sshPort: number,
  { fence, expiries, news, self, trust, witness }: StateSources,
): Promise<HeartbeatBody> {
  const [accounts, ended] = await Promise.all([listAccounts(), fence.listEnded()]);
  const usernames = accounts.map((account) => account.name).filter(isOrionAccount);
  return {
    ...news.pick(await readVitals()),
    self: await self.news(),
    statement: await trust.statementHash(),
    ...(await witness.describe()),
    accounts: usernames,
    key_expiries: await expiries.listAstray(usernames),
    ended_accounts: ended,
    ssh_port: sshPort,
  };
}
