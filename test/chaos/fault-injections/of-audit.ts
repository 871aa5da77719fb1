import { eventually, testConstants } from '../../lab';
import { broken } from '../scenario';
import { PATIENCE_MS, type FaultInjection } from './arena';

const KEPT = '/var/lib/orion/agent/audit-heads.json';

const resealedLog: FaultInjection = {
  name: 'resealed-log',
  promise:
    'somebody with the database lets all events be sealed anew, with the right key: an agent keeps its head, and what it disputes is recorded',
  inject: async ({ system, fleet, found }) => {
    const hostname = `witness-${fleet.workers.length}`;
    const { workers } = await system.launchWorkers(1, { agentEnv: { MY_HOSTNAME: hostname, ...testConstants({ auditHeadSeconds: 0.5 }) } });
    const kept = async (): Promise<string> => (await workers[0]?.exec(`cat ${KEPT} 2>/dev/null`))?.stdout ?? '';
    const before = await eventually(kept, { what: `${hostname} keeps a head`, timeoutMs: PATIENCE_MS, everyMs: 100 });
    await system.sql('DELETE FROM audit_entries');
    await system.sql('DELETE FROM audit_heads');
    const disputes = (): Promise<unknown[]> => system.sql("SELECT id FROM events WHERE type = 'audit.disputed'");
    const isKeptAnew = async (): Promise<boolean> => !(await kept()).startsWith(before);
    await eventually(async () => (await disputes()).length > 0 || (await isKeptAnew()), {
      what: `${hostname} meets the other log`,
      timeoutMs: PATIENCE_MS,
      everyMs: 100,
    });
    if ((await disputes()).length === 0) {
      found.push(broken('trust', hostname, 'keeps a head of the audit log that does not continue the one that it had'));
    }
  },
};

export const OF_AUDIT = [resealedLog];
