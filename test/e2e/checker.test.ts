import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { Operation, Violation } from '../checker/evidence';
import { generateSshKeyPair, projectDir, run, type RunResult } from '../lab';
import { createHistory, type History } from '../support/history';
import { useFirstWorker, useFleet, useSystem, useTenant } from '../support/hooks';
import { inside } from './support/inside';

/** The program that anyone can point at a fleet: `npm run check:invariants`. */
describe('the checker of the invariants', () => {
  const system = useSystem({ apis: 1, schedulers: 1 });
  const worker = useFirstWorker(useFleet(system, 1));
  const ada = useTenant(system);
  let history: History;
  let keyFile: string;

  beforeAll(async () => {
    history = createHistory();
    const answer = await history.rent(ada, { key: 'checked' });
    if (answer?.body.leases.length !== 1) {
      throw new Error('no lease');
    }
    const key = await generateSshKeyPair(system.lab.dir, 'checker');
    await worker.authorizeRoot(key.publicKey);
    keyFile = key.keyFile;
  }, 60_000);

  const check = async (operations: Operation[]): Promise<RunResult & { violations: Violation[] }> => {
    const { reader, lab } = system;
    const [passwordFile, historyFile] = [join(lab.dir, 'reader-password'), join(lab.dir, 'history.jsonl')];
    writeFileSync(passwordFile, `${reader.password}\n`, { mode: 0o600 });
    writeFileSync(historyFile, operations.map((operation) => `${JSON.stringify(operation)}\n`).join(''));
    const result = await run(
      process.execPath,
      [
        '--import',
        'tsx',
        'test/checker/main.ts',
        '--host',
        reader.host,
        '--port',
        String(reader.port),
        '--user',
        reader.user,
        '--password-file',
        passwordFile,
        '--database',
        reader.database,
        '--history',
        historyFile,
        '--ssh-key',
        keyFile,
        '--seed',
        '77',
      ],
      { cwd: projectDir, env: { PATH: process.env['PATH'], HOME: process.env['HOME'] } },
    );
    return {
      ...result,
      violations: result.stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Violation),
    };
  };

  it('finds nothing wrong in a fleet that is well, and says what it looked at', async () => {
    const { code, violations, stderr } = await check(history.operations);
    expect({ code, violations }).toEqual({ code: 0, violations: [] });
    expect(stderr).toContain('0 violations; 1 leases, 1 placements');
    expect(stderr).toContain('1 nodes looked at');
  }, 30_000);

  it('says which invariant an account for no lease breaks, where, and with which seed', async () => {
    await inside(worker, 'echo "orn-stranger:x:70999:70999::/home/x:/bin/sh" >> /etc/passwd');
    const { code, violations } = await check(history.operations);
    expect(code).toBe(1);
    expect(violations).toEqual([
      { invariant: 'I7', where: expect.stringMatching(/^node \d+$/), what: expect.stringContaining('orn-stranger'), seed: '77' },
    ]);
    await inside(worker, "sed -i '/^orn-stranger:/d' /etc/passwd");
  }, 30_000);

  it('says that a lease which a client was promised is gone', async () => {
    const promised: Operation = {
      kind: 'rent',
      userId: ada.userId,
      leaseId: null,
      key: 'lost',
      outcome: 'ok',
      leases: [{ id: 4711, endsAt: Date.now() }],
      invokedAt: Date.now(),
      returnedAt: Date.now(),
    };
    const { code, violations } = await check([...history.operations, promised]);
    expect(code).toBe(1);
    expect(violations.map(({ invariant, where }) => [invariant, where])).toEqual([['I3', 'lease 4711']]);
  }, 30_000);

  it('may only look: its database user is refused every change', async () => {
    const { reader } = system;
    const attempt = await run('mariadb', [
      '--no-defaults',
      '-h',
      reader.host,
      '-P',
      String(reader.port),
      '-u',
      reader.user,
      `-p${reader.password}`,
      reader.database,
      '-e',
      'DELETE FROM events',
    ]);
    expect(attempt.code).not.toBe(0);
    expect(attempt.stderr).toContain('denied');
  });
});
