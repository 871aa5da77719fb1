import { constants } from 'node:fs';
import { access, readFile, realpath, stat, statfs } from 'node:fs/promises';
import { freemem } from 'node:os';
import { dirname } from 'node:path';
import { hasCode } from '../files';
import { fail, warn, type Finding } from './check';
import { isForeign, mountOf, parseMountinfo, type Mount } from './mounts';

const MIB = 1024 * 1024;
const FAIL_MB = 200;
const WARN_MB = 1024;
const FAIL_INODES = 1000;
const WARN_INODES = 10_000;
const WARN_MEMORY_MB = 256;

const readMounts = async (): Promise<Mount[]> => parseMountinfo(await readFile('/proc/self/mountinfo', 'utf8'));

export async function examineHome(): Promise<Finding[]> {
  const mounts = await readMounts();
  // Check the mount type before any access to the path: access to a file system whose server is gone hangs for ever.
  const above = foreignHome(mountOf(mounts, '/home'));
  if (above) {
    return [above];
  }
  const path = await realpath('/home').catch(() => undefined);
  if (path === undefined || !(await stat(path)).isDirectory()) {
    return [fail("there is no directory /home, where tenants' homes are made", 'make it: install -d -m 755 /home')];
  }
  const foreign = foreignHome(mountOf(mounts, path));
  if (foreign) {
    return [foreign];
  }
  const refusal = await writeRefusal(path);
  return [
    ...(refusal === undefined
      ? []
      : [fail(`/home cannot be written to (${refusal})`, 'mount it read-write, or mount a local file system there')]),
    ...(mountOf(mounts, path)?.options.has('noexec')
      ? [warn('/home is mounted noexec: tenants cannot start programs of their own', 'mount /home without noexec')]
      : []),
  ];
}

const foreignHome = (mount: Mount | undefined): Finding | undefined =>
  mount && isForeign(mount.type)
    ? fail(
        `/home lies on ${mount.point} (${mount.type}): homes there cannot be wiped, other machines may use them`,
        'mount a local file system at /home',
      )
    : undefined;

export async function examineTmp(): Promise<Finding[]> {
  const noexec = mountOf(await readMounts(), '/tmp')?.options.has('noexec');
  return noexec ? [warn('/tmp is mounted noexec: many programs of tenants will not start', 'mount /tmp without noexec')] : [];
}

/**
 * Checks where the installer's command is. Only that file is executed; Node and Python read all other files, also below /var/lib/orion, so
 * noexec does not matter there.
 */
export async function examinePrograms(): Promise<Finding[]> {
  const noexec = mountOf(await readMounts(), '/usr/local/bin')?.options.has('noexec');
  return noexec ? [fail('/usr/local/bin is mounted noexec: orion-agent cannot be started there', 'mount it without noexec')] : [];
}

const ACCOUNT_FILES = ['/etc/passwd', '/etc/shadow', '/etc/group'];

/** Checks that account files can be replaced: account tools write a new file and rename it over the old one. */
export async function examineAccountFiles(): Promise<Finding[]> {
  const mounts = await readMounts();
  const folder = await writeRefusal('/etc');
  const findings =
    folder === undefined ? [] : [fail(`/etc cannot be written to (${folder})`, 'mount it read-write: accounts are made in /etc/passwd')];
  for (const path of ACCOUNT_FILES) {
    const refusal = await writeRefusal(path);
    if (mounts.some(({ point }) => point === path)) {
      findings.push(
        fail(`${path} is a mount of its own, so it cannot be replaced`, `unmount it and keep the file itself in /etc: umount ${path}`),
      );
    } else if (refusal !== undefined) {
      findings.push(
        fail(
          `${path} cannot be written to (${refusal})`,
          `let root change it: lsattr ${path} shows whether it is immutable, chattr -i ${path} ends that`,
        ),
      );
    }
  }
  return findings;
}

/**
 * Returns why a path cannot be written to, or undefined. Uses access(2), which detects read-only mounts and immutable files, and changes
 * nothing.
 */
async function writeRefusal(path: string): Promise<string | undefined> {
  const reasons: Record<string, string> = {
    EROFS: 'it is read-only',
    EPERM: 'it is immutable',
    ENOENT: 'it is not there',
    EACCES: 'permission denied',
  };
  try {
    await access(path, constants.W_OK);
    return undefined;
  } catch (error) {
    return Object.entries(reasons).find(([code]) => hasCode(error, code))?.[1] ?? String(error);
  }
}

/** Checks the free space where homes, account files and the node's records are. Reports each file system once. */
export async function examineDisk(): Promise<Finding[]> {
  const mounts = await readMounts();
  const seen = new Set<number>();
  const findings: Finding[] = [];
  for (const wanted of ['/home', '/etc', '/var/lib/orion']) {
    const path = isForeign(mountOf(mounts, wanted)?.type ?? '') ? undefined : await nearestThatExists(wanted);
    const device = path === undefined ? undefined : (await stat(path)).dev;
    if (path !== undefined && device !== undefined && !seen.has(device)) {
      seen.add(device);
      findings.push(...spaceFindings(wanted, await statfs(path)));
    }
  }
  return findings;
}

async function nearestThatExists(path: string): Promise<string> {
  return stat(path).then(
    () => path,
    () => (path === '/' ? path : nearestThatExists(dirname(path))),
  );
}

export function spaceFindings(
  path: string,
  { bavail, bsize, files, ffree }: { bavail: number; bsize: number; files: number; ffree: number },
): Finding[] {
  const freeMb = Math.floor((bavail * bsize) / MIB);
  const space = graded(freeMb, { failBelow: FAIL_MB, warnBelow: WARN_MB });
  // Some file systems, such as btrfs, have no table of inodes and report 0.
  const inodes = files === 0 ? undefined : graded(ffree, { failBelow: FAIL_INODES, warnBelow: WARN_INODES });
  return [
    ...(space
      ? [space(`${freeMb} MB are free on the file system of ${path}`, `free some space: at least ${FAIL_MB} MB, better ${WARN_MB} MB`)]
      : []),
    ...(inodes
      ? [
          inodes(
            `${ffree} files can still be made on the file system of ${path} (its inodes are used up)`,
            `remove files: at least ${FAIL_INODES} must be free`,
          ),
        ]
      : []),
  ];
}

const graded = (value: number, { failBelow, warnBelow }: { failBelow: number; warnBelow: number }): typeof fail | undefined =>
  value < failBelow ? fail : value < warnBelow ? warn : undefined;

export function examineMemory(): Promise<Finding[]> {
  const freeMb = Math.floor(freemem() / MIB);
  return Promise.resolve(
    freeMb < WARN_MEMORY_MB
      ? [warn(`${freeMb} MB of memory are free`, 'end what is not needed on the machine: tenants share what is left')]
      : [],
  );
}
