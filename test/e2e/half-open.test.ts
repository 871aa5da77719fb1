import { describe, expect, it } from '@jest/globals';
import { rootOf } from '../chaos/rogue/workers';
import { eventually } from '../lab';
import { useFirstWorker, useFleet, useSystem, useTenant } from '../support/hooks';

/** Opens connections to the sshd of its own machine that never log in, each anew when it is dropped. */
const HOLD = `import os, selectors, socket
address, port = os.environ['SSH_CONNECTION'].split()[2:]
held = selectors.DefaultSelector()
def open_one():
    one = socket.create_connection((address, int(port)))
    held.register(one, selectors.EVENT_READ)
for _ in range(200):
    open_one()
open('held', 'w').close()
while True:
    for key, _events in held.select():
        if not key.fileobj.recv(4096):
            held.unregister(key.fileobj)
            key.fileobj.close()
            open_one()`;

describe('a tenant who holds every place of those that have not logged in yet', () => {
  const system = useSystem({ apis: 1, schedulers: 1, env: { ORION_PROBE_INTERVAL_SECONDS: '2' } });
  const ada = useTenant(system);
  const worker = useFirstWorker(useFleet(system, 1));

  it('R55: keeps nobody from wiping the node: the scheduler has a connection already', async () => {
    await rootOf(worker, `sed -i 's/^MaxStartups .*/MaxStartups 10:30:100/' /etc/ssh/sshd_config && kill -HUP "$(pgrep -o -x sshd)"`);
    const lease = await ada.rentOne();
    // One that has not worked on the node before, and has no other connection to it than the one over which it asks whether the node is
    // there.
    await system.schedulers[0]?.stop();
    await system.startScheduler();
    const [started] = await system.sql<{ at: string }>('SELECT UTC_TIMESTAMP(3) + INTERVAL 1 SECOND AS at');
    const asked = 'SELECT id FROM nodes WHERE last_checked_at > ? AND last_checked_at > logged_in_at';
    await eventually(async () => (await system.sql<{ id: number }>(asked, [started?.at ?? ''])).length === 1, {
      what: 'the node is asked over a connection that stays',
      timeoutMs: 30_000,
    });
    await ada.login(
      lease,
      `cat > hold.py && (setsid python3 hold.py </dev/null >/dev/null 2>&1 &) && until [ -e held ]; do sleep 0.05; done`,
      { input: HOLD },
    );
    await eventually(async () => (await ada.login(lease, 'true')).code === 255, { what: 'nobody can log in any more', timeoutMs: 30_000 });

    await ada.release(lease.id);

    // Sooner than the agent would hold the account by itself, and without a failure.
    await system.untilFree(1, 10_000);
    expect(await system.sql("SELECT id FROM events WHERE type = 'node.wipe_failed'")).toEqual([]);
  }, 90_000);
});
