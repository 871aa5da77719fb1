import { readdir, statfs } from 'node:fs/promises';
import { availableParallelism, freemem, loadavg, machine, networkInterfaces, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { readTextIfPresent } from './files';
import { normalisePublicKey } from './public-key';
import { agentVersion } from './version';

/** The facts that a node reports at registration. The field names are those of the API. */
export interface Facts {
  cpus: number;
  memory_mb: number;
  disk_mb: number;
  os: string;
  arch: string;
  kernel: string;
  /** Empty when there is no GPU. */
  gpu: string;
  agent_version: string;
}

/** Values that change, and that heartbeats report. */
export interface Vitals {
  load1: number;
  memory_free_mb: number;
  disk_free_mb: number;
}

const MIB = 1024 * 1024;

export async function readFacts(overrides: { cpus?: number; memoryMb?: number }): Promise<Facts> {
  const [gpu, disk, osRelease, cpuMax] = await Promise.all([
    readGpus(),
    statfs('/'),
    readTextIfPresent('/etc/os-release'),
    readTextIfPresent('/sys/fs/cgroup/cpu.max'),
  ]);
  return {
    cpus: overrides.cpus ?? usableCpus(availableParallelism(), cpuMax ?? ''),
    memory_mb: overrides.memoryMb ?? Math.floor(usableMemory(totalmem(), process.constrainedMemory()) / MIB),
    disk_mb: Math.floor((disk.blocks * disk.bsize) / MIB),
    os: osName(osRelease ?? ''),
    arch: machine(),
    kernel: release(),
    gpu,
    agent_version: agentVersion,
  };
}

export async function readVitals(): Promise<Vitals> {
  const disk = await statfs('/');
  return {
    load1: Math.round((loadavg()[0] ?? 0) * 100) / 100,
    memory_free_mb: Math.floor(freemem() / MIB),
    disk_free_mb: Math.floor((disk.bavail * disk.bsize) / MIB),
  };
}

const PCI = '/sys/bus/pci/devices';
const VENDORS: Record<string, string> = { '0x10de': 'NVIDIA', '0x1002': 'AMD', '0x8086': 'Intel' };
const MAX_GPU_TEXT = 200;

/** Lists display and 3D controllers, as `NVIDIA 2204, NVIDIA 2204`. */
async function readGpus(folder = PCI): Promise<string> {
  const names = await readdir(folder).catch(() => []);
  const read = async (device: string, file: string): Promise<string> =>
    ((await readTextIfPresent(join(folder, device, file)).catch(() => undefined)) ?? '').trim();
  const found = await Promise.all(
    names.map(async (device) => {
      const [kind, vendor, model] = await Promise.all(['class', 'vendor', 'device'].map((file) => read(device, file)));
      return kind?.startsWith('0x03') ? [`${VENDORS[vendor ?? ''] ?? vendor ?? ''} ${model?.slice(2) ?? ''}`] : [];
    }),
  );
  return found.flat().toSorted().join(', ').slice(0, MAX_GPU_TEXT);
}

/**
 * Lists the addresses of all interfaces except loopback and link-local ones. Addresses of containers and bridges come and go. This is
 * harmless: the control plane compares the address that it sees itself.
 */
export function readAddresses(): string {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return all
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))
    .map(({ address }) => address)
    .toSorted()
    .join(' ');
}

/**
 * Reads the node's public host key as `type base64`. Throws when the file contains none (yet). Reads the file each time, because the key
 * may be replaced.
 */
export async function readHostKey(file: string): Promise<string> {
  const key = normalisePublicKey((await readTextIfPresent(file)) ?? '');
  if (key === undefined) {
    throw new Error(`${file} holds no SSH host key: start sshd once, or set ORION_HOST_KEY_FILE`);
  }
  return key;
}

/** PRETTY_NAME of an os-release file, or "Linux". */
export function osName(osRelease: string): string {
  const match = /^PRETTY_NAME=(?:"([^"\n]*)"|'([^'\n]*)'|(.*))$/m.exec(osRelease);
  return match?.[1] ?? match?.[2] ?? match?.[3] ?? 'Linux';
}

/** The smaller of the CPUs and the cgroup's quota ("max 100000" or "150000 100000"), at least 1. */
export function usableCpus(cpus: number, cpuMax: string): number {
  const [quota, period] = cpuMax.trim().split(/\s+/).map(Number);
  const limit = quota && period ? Math.floor(quota / period) : cpus;
  return Math.max(1, Math.min(cpus, limit));
}

/** The smaller of the memory and the cgroup's limit, which is 0 or huge where there is none. */
export function usableMemory(totalBytes: number, constrainedBytes: number | undefined): number {
  return constrainedBytes ? Math.min(totalBytes, constrainedBytes) : totalBytes;
}
