import { beforeAll, describe, expect, it } from '@jest/globals';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fingerprintOf } from '../../../src/lib/host-key';
import { generateSshKeyPair, projectDir, run, type RunResult } from '../../lab';
import { close, useForAll, useLab, useWorker } from '../../support/hooks';
import { createBench } from './support/cli';
import { aGateway, aLease } from './support/fake-api';

/** A real machine with a real sshd behind a fake API, and the program as a process of its own. */
const lab = useLab();
const bench = useForAll(createBench, close);
const worker = useWorker(lab);
const key = useForAll(() => generateSshKeyPair(lab.dir));
beforeAll(async () => {
  await worker.authorizeRoot(key.publicKey);
  bench.logIn();
  remember(7, key.keyFile);
}, 60_000);

function remember(leaseId: number, file: string): void {
  mkdirSync(bench.configDir, { recursive: true });
  writeFileSync(
    join(bench.configDir, 'leases.json'),
    JSON.stringify({ [bench.api.url]: { [leaseId]: { private_key: file, ends_at: '2026-05-04T10:00:00.000Z' } } }),
  );
}

function leaseThere(hostKey: string, changes: Record<string, unknown> = {}): Record<string, unknown> {
  const { address: host, port } = worker;
  const access = {
    host,
    port,
    username: 'root',
    host_key: hostKey,
    host_key_fingerprint: fingerprintOf(hostKey),
    known_hosts: `[${host}]:${port} ${hostKey}`,
    command: '',
  };
  return aLease({ access, events: [], placements: [], ...changes });
}

const orion = (...args: string[]): Promise<RunResult> =>
  run(process.execPath, ['--import', 'tsx', join(projectDir, 'test/integration/cli/entry.ts'), ...args], {
    env: { HOME: bench.home, PATH: process.env.PATH, ORION_CONFIG_DIR: bench.configDir },
    cwd: projectDir,
    input: 'from standard input',
  });

describe('orion ssh', () => {
  it("runs a command with the lease's key and the pinned host key, and passes its exit code, input and output through", async () => {
    bench.api.on('GET /api/leases/7', { body: leaseThere(worker.hostKey) });
    const result = await orion('ssh', '7', '--', 'cat; echo --json $USER; echo oops >&2; exit 42');
    expect({ code: result.code, stdout: result.stdout }).toEqual({ code: 42, stdout: 'from standard input--json root\n' });
    expect(result.stderr).toContain('oops');
    expect(readFileSync(join(bench.configDir, 'known_hosts.d', 'lease-7'), 'utf8')).toContain(worker.hostKey);
  }, 30_000);

  it('goes through the gateway where there is one, also while the lease moves, and straight to the machine with --direct', async () => {
    const { address: host, port, hostKey } = worker;
    const gateway = aGateway({ host, port, username: 'root', host_key: hostKey });
    bench.api.on('GET /api/leases/7', { body: aLease({ state: 'migrating', access: null, gateway }) });
    expect(await orion('ssh', '7', '--', 'echo', 'through')).toMatchObject({ code: 0, stdout: 'through\n' });
    bench.api.on('GET /api/leases/7', { body: leaseThere(hostKey, { gateway: { ...gateway, host: '127.0.10.250' } }) });
    expect(await orion('ssh', '--direct', '7', '--', 'echo', 'straight')).toMatchObject({ code: 0, stdout: 'straight\n' });
  }, 60_000);

  it('waits for a lease that is being moved', async () => {
    bench.api.on('GET /api/leases/7', () =>
      bench.api.seenAt('GET /api/leases/7').length % 3 === 0
        ? { body: leaseThere(worker.hostKey) }
        : { body: aLease({ state: 'migrating', access: null }) },
    );
    const result = await orion('ssh', '7', '--', 'echo', 'there');
    expect({ code: result.code, stdout: result.stdout }).toEqual({ code: 0, stdout: 'there\n' });
    expect(result.stderr).toContain('it is being moved to another machine');
  }, 30_000);

  it('does not log in to a machine with another host key', async () => {
    const other = await generateSshKeyPair(lab.dir);
    bench.api.on('GET /api/leases/7', { body: leaseThere(other.publicKey.split(' ').slice(0, 2).join(' ')) });
    const result = await orion('ssh', '7', '--', 'echo', 'in');
    expect({ code: result.code, stdout: result.stdout }).toEqual({ code: 255, stdout: '' });
    expect(result.stderr).toMatch(/Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED/);
    expect(result.stderr).toContain('orion show 7');
  }, 30_000);

  it('says that a lease is over instead of trying', async () => {
    bench.api.on('GET /api/leases/7', { body: aLease({ state: 'ended', end_reason: 'expired', access: null }) });
    const result = await orion('ssh', '7');
    expect(result.code).toBe(6);
    expect(result.stderr).toContain('The lease is over');
  }, 30_000);
});

describe('completion', () => {
  it('gives bash a script and candidates', async () => {
    const script = await orion('completion', 'bash');
    const syntax = await run('bash', ['-n'], { input: script.stdout });
    expect({ code: script.code, syntax: syntax.code }).toEqual({ code: 0, syntax: 0 });
    expect(script.stdout).toContain('orion complete --');
    expect((await orion('complete', '--', 'rent', '--hou')).stdout).toContain('--hours');
    expect((await orion('complete', '--', 'node', '')).stdout).toContain('quarantine');
  }, 30_000);
});
