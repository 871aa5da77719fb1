import { beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../../lab';
import { aSpec, asRoot, asTenant, nodeOf, tenantOf, useBench } from './support';

/** Of each kind. */
const ROUNDS = 5;

/** Each process of a relay lives for less time than a scan of /proc takes; it ends by itself after two minutes. */
const python = (generation: string): string => `import ctypes, os, signal, threading, time
open('begun', 'w').close()
end = time.monotonic() + 120
while time.monotonic() < end:
${generation.replace(/^/gm, '    ')}`;
const RELAYS: [string, string, string][] = [
  ['forks and ends', 'python3', python('if os.fork():\n    os._exit(0)\ntime.sleep(0.0005)')],
  [
    'forks twice, each time in a session of its own',
    'python3',
    python('if os.fork():\n    os._exit(0)\nos.setsid()\nif os.fork():\n    os._exit(0)\ntime.sleep(0.0005)'),
  ],
  [
    'forks from a thread, its main thread ended',
    'python3',
    python(`def run():
    if time.monotonic() > end or os.fork():
        os._exit(0)
    threading.Thread(target=run).start()
    ctypes.CDLL(None).pthread_exit(None)
run()`),
  ],
  ['starts another program', 'sh', `: > begun; [ "$(cut -d . -f 1 /proc/uptime)" -lt "$1" ] || exit 0\nsh "$0" "$1" &\n`],
  ['kills all but itself', 'python3', python('if os.fork():\n    os._exit(0)\nos.kill(-1, signal.SIGKILL)')],
];

describe('the first wipe is enough', () => {
  const { bench, worker } = useBench();
  beforeAll(async () => {
    // As busy as a machine is: a list of its processes is old by the time that it is read to its end.
    await asRoot(worker, 'for i in $(seq 400); do sleep 900 >/dev/null 2>&1 </dev/null & done');
  }, 60_000);

  it.each(RELAYS)(
    'for a relay of processes, each of which %s',
    async (_, program, text) => {
      for (let round = 0; round < ROUNDS; round += 1) {
        const spec = aSpec(bench.tenantKey);
        await bench.provisioner.ensurePresent(nodeOf(worker), spec);
        const begun = `cat > relay && end=$(($(cut -d . -f 1 /proc/uptime) + 120)) && (setsid ${program} relay $end </dev/null >/dev/null 2>&1 &)`;
        await asTenant(tenantOf(worker, spec.username, bench.tenantKey), begun, { input: text });
        await eventually(() => asRoot(worker, `[ ! -e /home/${spec.username}/begun ] || echo runs`), {
          what: 'the relay runs',
          everyMs: 5,
        });

        await bench.provisioner.wipe(nodeOf(worker), [spec]);

        expect((await bench.provisioner.verifyClean(nodeOf(worker), [spec])).findings).toEqual([]);
      }
    },
    120_000,
  );
});
