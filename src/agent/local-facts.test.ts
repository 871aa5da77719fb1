import { describe, expect, it } from '@jest/globals';
import { chmod, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { osName, readFacts, readVitals, usableCpus, usableMemory } from './facts';
import { isOrionAccount, parsePasswd } from './passwd';
import { systemClock } from '../lib/clock';
import { createPasswdEditor, withEntry } from './passwd-editor';
import { belongsTo, listProcessesOf } from './processes';

describe('facts', () => {
  it('name the system as os-release does', () => {
    expect(osName('ID=x\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')).toBe('Debian GNU/Linux 12 (bookworm)');
    expect(osName('PRETTY_NAME=Alpine\n')).toBe('Alpine');
    expect(osName('')).toBe('Linux');
  });

  it('respect what a container is limited to', () => {
    expect(usableCpus(8, 'max 100000\n')).toBe(8);
    expect(usableCpus(8, '250000 100000\n')).toBe(2);
    expect(usableCpus(8, '50000 100000\n')).toBe(1);
    expect(usableCpus(8, '')).toBe(8);
    expect(usableMemory(1000, 400)).toBe(400);
    expect(usableMemory(1000, 0)).toBe(1000);
    expect(usableMemory(1000, 2 ** 63)).toBe(1000);
  });

  it('are found on this machine, and can be overridden', async () => {
    const facts = await readFacts({ cpus: 3, memoryMb: 77 });
    expect(facts).toMatchObject({ cpus: 3, memory_mb: 77 });
    expect(facts.disk_mb).toBeGreaterThan(0);
    const vitals = await readVitals();
    expect(vitals.memory_free_mb).toBeGreaterThan(0);
    expect(vitals.load1).toBeGreaterThanOrEqual(0);
  });
});

describe('the passwd file', () => {
  it('is read line by line, what is no entry left aside', () => {
    const text = 'root:x:0:0:root:/root:/bin/sh\n# no\norn-a:x:20001:20001::/home/orn-a:/bin/bash\nbroken:x:a:b::/:\n';
    expect(parsePasswd(text)).toEqual([
      { name: 'root', uid: 0, gid: 0, home: '/root' },
      { name: 'orn-a', uid: 20_001, gid: 20_001, home: '/home/orn-a' },
    ]);
    expect(['orn-a', 'orion-mgmt', 'orn-', 'orn-A b'].map(isOrionAccount)).toEqual([true, false, false, false]);
  });

  it('gains, changes and loses one entry and keeps the others', () => {
    const before = 'root:x:0\norion-mgmtx:x:1\n';
    const added = withEntry(before, 'orion-mgmt', 'orion-mgmt:*:2');
    expect(added).toBe('root:x:0\norion-mgmtx:x:1\norion-mgmt:*:2\n');
    expect(withEntry(added, 'orion-mgmt', undefined)).toBe(before);
  });
});

describe('the passwd editor', () => {
  it('adds and removes an account whole, keeps modes, and leaves no lock behind', async () => {
    const etc = await mkdtemp(join(tmpdir(), 'orion-etc-'));
    await writeFile(join(etc, 'passwd'), 'root:x:0:0:root:/root:/bin/sh\n', { mode: 0o644 });
    await writeFile(join(etc, 'shadow'), 'root:*::0:99999:7:::\n');
    // Whatever the umask of the test command is.
    await chmod(join(etc, 'shadow'), 0o640);
    const editor = createPasswdEditor(systemClock, etc);
    await editor.setEntry('orion-mgmt', { passwd: 'orion-mgmt:x:0:0::/h:/bin/sh', shadow: 'orion-mgmt:*::0:99999:7:::' });
    expect(await readFile(join(etc, 'passwd'), 'utf8')).toBe('root:x:0:0:root:/root:/bin/sh\norion-mgmt:x:0:0::/h:/bin/sh\n');
    expect((await stat(join(etc, 'shadow'))).mode & 0o777).toBe(0o640);
    await editor.setEntry('orion-mgmt', undefined);
    expect(await readFile(join(etc, 'shadow'), 'utf8')).toBe('root:*::0:99999:7:::\n');
    expect((await readdir(etc)).sort()).toEqual(['passwd', 'shadow']);
    await rm(etc, { recursive: true });
  });
});

describe('the process scan', () => {
  const status = (uids: string, state = 'S (sleeping)'): string => `Name:\tx\nState:\t${state}\nUid:\t${uids}\nGid:\t0\t0\t0\t0\n`;

  it('sees a uid in any role, and no zombie', () => {
    expect(belongsTo(status('20001\t0\t0\t0'), 20_001)).toBe(true);
    expect(belongsTo(status('0\t0\t20001\t0'), 20_001)).toBe(true);
    expect(belongsTo(status('20001\t20001\t20001\t20001', 'Z (zombie)'), 20_001)).toBe(false);
    expect(belongsTo(`${status('20001\t20001\t20001\t20001', 'Z (zombie)')}Threads:\t3\n`, 20_001)).toBe(true);
    expect(belongsTo(status('200011\t0\t0\t0'), 20_001)).toBe(false);
    expect(belongsTo('', 0)).toBe(false);
  });

  it('finds this very process', async () => {
    expect(await listProcessesOf(process.getuid?.() ?? -1)).toContain(process.pid);
  });
});
