import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';
import { readTextIfPresent } from '../files';
import { ask } from './ask';

/** The sshd of this machine and the configuration that it uses. */
export interface Sshd {
  program: string;
  config: string;
  port: number;
  /** Whether an sshd process listens on that port. False also where systemd listens for it. */
  running: boolean;
}

/** Maps each keyword, in lower case, to its values. Keywords such as AllowUsers have one line for each value. */
export type Settings = Map<string, string[]>;

const CONFIG = '/etc/ssh/sshd_config';

/** Finds the sshd that listens on the port, else an installed one. Returns undefined when there is none. */
export async function findSshd(port: number, signal: AbortSignal): Promise<Sshd | undefined> {
  const pid = await findListener(port);
  const program = pid === undefined ? await findInstalled(signal) : (await readlink(`/proc/${pid}/exe`)).replace(/ \(deleted\)$/, '');
  const words = pid === undefined ? [] : (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split(/[\0 ]/);
  return program === undefined ? undefined : { program, config: configIn(words), port, running: pid !== undefined };
}

/** Returns the configuration file of an sshd, which may have been started with `-f FILE`. */
export function configIn(words: string[]): string {
  const at = words.indexOf('-f');
  return (at >= 0 ? words[at + 1] : undefined) || CONFIG;
}

async function findInstalled(signal: AbortSignal): Promise<string | undefined> {
  for (const path of ['/usr/sbin/sshd', '/usr/bin/sshd', '/sbin/sshd', '/usr/local/sbin/sshd']) {
    if (await ask(path, ['-V'], signal)) {
      return path;
    }
  }
  return undefined;
}

async function findListener(port: number): Promise<number | undefined> {
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readTextIfPresent(`/proc/net/${name}`)));
  const inodes = listeningInodes(tables.join('\n'), port);
  const pids = inodes.size === 0 ? [] : (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  for (const pid of pids) {
    const program = await readlink(`/proc/${pid}/exe`).catch(() => '');
    if (basename(program.replace(/ \(deleted\)$/, '')) === 'sshd' && (await holdsOneOf(pid, inodes))) {
      return pid;
    }
  }
  return undefined;
}

/** Lists the inodes of sockets that listen on the port, from the kernel's table of TCP sockets: proc_net(5). */
export function listeningInodes(table: string, port: number): Set<string> {
  const rows = table.split('\n').map((line) => line.trim().split(/\s+/));
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return new Set(
    rows.flatMap(([, local, , state, , , , , , inode]) => (state === '0A' && local?.endsWith(wanted) && inode ? [inode] : [])),
  );
}

async function holdsOneOf(pid: number, inodes: Set<string>): Promise<boolean> {
  const folder = `/proc/${pid}/fd`;
  const links = await Promise.all((await readdir(folder).catch(() => [])).map((name) => readlink(`${folder}/${name}`).catch(() => '')));
  return links.some((link) => inodes.has(/^socket:\[(\d+)\]$/.exec(link)?.[1] ?? ''));
}

/** Returns [major, minor]. Older releases do not know -V, and print their version with the error message. */
export function parseSshVersion(output: string): [number, number] | undefined {
  const match = /OpenSSH_(?:for_\w+_)?(\d+)\.(\d+)/.exec(output);
  return match ? [Number(match[1]), Number(match[2])] : undefined;
}

/** Parses the output of `sshd -T`. */
export function parseSettings(output: string): Settings {
  const settings: Settings = new Map();
  for (const line of output.split('\n')) {
    const [, keyword, value] = /^([a-z0-9]+) (.*)$/.exec(line.trim()) ?? [];
    if (keyword !== undefined && value !== undefined) {
      settings.set(keyword, [...(settings.get(keyword) ?? []), value]);
    }
  }
  return settings;
}

/** Returns the settings that sshd applies to a local login of that account. Throws when sshd rejects its own configuration. */
export async function settingsFor(sshd: Sshd, user: string, signal: AbortSignal): Promise<Settings> {
  const connection = `user=${user},host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=${sshd.port}`;
  const reply = await ask(sshd.program, ['-T', '-f', sshd.config, '-C', connection], signal);
  if (reply?.code !== 0) {
    throw new Error(`${sshd.program} does not accept ${sshd.config}: ${(reply?.output ?? 'it cannot be started').trim().slice(-300)}`);
  }
  return parseSettings(reply.output);
}
