import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../../src/lib/clock';
import { type Logger, silentLogger } from '../../../src/lib/logger';
import { createAnsibleProvisioner, type AccountSpec, type AnsibleProvisioner, type NodeTarget } from '../../../src/modules/provisioning';
import { createPooledSessions, dialDirectly } from '../../../src/ssh';
import {
  createLab,
  generateSshKeyPair,
  launchWorkers,
  projectDir,
  sshExec,
  type Lab,
  type RunResult,
  type SshExecOptions,
  type SshKeyPair,
  type SshTarget,
  type Worker,
} from '../../lab';
import { useFirstWorker, useForAll } from '../../support/hooks';

export interface Bench {
  lab: Lab;
  workers: Worker[];
  managementKey: SshKeyPair;
  tenantKey: SshKeyPair;
  provisioner: AnsibleProvisioner;
}

export interface BenchOptions {
  workers?: number;
  concurrency?: number;
  deadlineSeconds?: number;
  memoryLimitMb?: number;
  /** False: each play is a process of ansible-playbook. */
  prefork?: boolean;
  ansiblePlaybook?: string;
  playbooksDir?: string;
  logger?: Logger;
}

/** Workers with the management account, and a provisioner that may log in to it. */
export async function createBench(options: BenchOptions = {}): Promise<Bench> {
  const lab = createLab();
  try {
    const fleet = await launchWorkers(lab, options.workers ?? 1);
    const managementKey = await generateSshKeyPair(join(lab.dir, 'control plane'));
    const tenantKey = await generateSshKeyPair(join(lab.dir, 'tenant'));
    await Promise.all(fleet.workers.map((worker) => addManagement(worker, managementKey.publicKey)));
    const provisioner = provisionerWith(lab, managementKey, options);
    return { lab, workers: fleet.workers, managementKey, tenantKey, provisioner };
  } catch (error) {
    await lab.close();
    throw error;
  }
}

/** A bench for all tests of the enclosing block, and its first worker. */
export function useBench(options?: BenchOptions): { bench: Bench; worker: Worker } {
  const bench = useForAll(
    () => createBench(options),
    ({ lab }) => lab.close(),
  );
  return { bench, worker: useFirstWorker(bench) };
}

/** A provisioner that ends with the lab. */
export function provisionerWith(lab: Lab, key: SshKeyPair, options: BenchOptions = {}): AnsibleProvisioner {
  const {
    concurrency = 2,
    deadlineSeconds = 90,
    memoryLimitMb = 256,
    ansiblePlaybook,
    playbooksDir = join(projectDir, 'playbooks'),
    logger = silentLogger,
  } = options;
  const keeping = {
    dial: dialDirectly,
    username: 'orion-mgmt',
    privateKey: readFileSync(key.keyFile, 'utf8'),
    clock: systemClock,
    loginTimeoutMs: 10_000,
    idleMs: 60_000,
    max: 10,
  };
  const sessions = createPooledSessions(keeping);
  const provisioner = createAnsibleProvisioner({
    privateKeyFile: key.keyFile,
    privateKey: keeping.privateKey,
    playbooksDir,
    concurrency,
    deadlineSeconds,
    memoryLimitMb,
    ansiblePlaybook,
    dial: dialDirectly,
    clock: systemClock,
    logger,
    prefork: options.prefork === false ? undefined : { sessions, openSessions: () => createPooledSessions(keeping) },
  });
  lab.push('provisioner', async () => {
    await provisioner.close();
    sessions.close();
  });
  return provisioner;
}

async function addManagement(worker: Worker, publicKey: string): Promise<void> {
  const script = `
    useradd -o -u 0 -g 0 -M -d /var/lib/orion/mgmt -s /bin/sh -p '*' orion-mgmt 2>/dev/null
    umask 077; mkdir -p /var/lib/orion/mgmt/.ssh; cat > /var/lib/orion/mgmt/.ssh/authorized_keys`;
  await asRoot(worker, script, `restrict ${publicKey}\n`);
}

/** Runs a shell command on a worker past sshd and gives its stdout; throws when it fails. */
export async function asRoot(worker: Worker, command: string, input = ''): Promise<string> {
  const result = await worker.exec(command, { input });
  if (result.code !== 0) {
    throw new Error(`on ${worker.name}: ${command}: ${String(result.code)} ${result.stderr}`);
  }
  return result.stdout.trim();
}

export const nodeOf = (worker: Worker, nodeId = 1): NodeTarget => ({
  nodeId,
  address: worker.address,
  port: worker.port,
  hostKey: worker.hostKey,
});

/**
 * Workers share a kernel, which keeps keys by uid: no two tests may use the same. Above what workers begin with by themselves
 * (scripts/lib/worker-boot.sh).
 */
let lastUid = 1_700_000_000 + (process.pid % 700_000) * 400;

/** An account that no test had before. */
export function aSpec(key: SshKeyPair, change: Partial<AccountSpec> = {}): AccountSpec {
  const uid = (lastUid += 1);
  return {
    username: `orn-t${String(uid)}`,
    uid,
    leaseId: uid,
    generation: 1,
    publicKeys: [key.publicKey],
    passwordHash: null,
    remainingSeconds: 3600,
    ...change,
  };
}

export function tenantOf(worker: Worker, user: string, key: SshKeyPair): SshTarget {
  return { address: worker.address, port: worker.port, hostKey: worker.hostKey, user, keyFile: key.keyFile };
}

/** Runs a command as a tenant over OpenSSH; throws when it fails. */
export async function asTenant(target: SshTarget, command: string, options: SshExecOptions = {}): Promise<string> {
  const result: RunResult = await sshExec(target, command, options);
  if (result.code !== 0) {
    throw new Error(`as ${target.user}: ${String(result.code)} ${result.stderr}`);
  }
  return result.stdout.trim();
}
