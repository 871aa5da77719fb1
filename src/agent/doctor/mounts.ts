export interface Mount {
  point: string;
  type: string;
  /** Options of the mount and of the file system. */
  options: Set<string>;
}

const NETWORK = new Set([
  'nfs',
  'nfs4',
  'cifs',
  'smb3',
  'smbfs',
  'ncpfs',
  'afs',
  'ceph',
  'lustre',
  'glusterfs',
  '9p',
  'beegfs',
  'gpfs',
  'gfs2',
  'ocfs2',
  'orangefs',
  'autofs',
]);

/** Whether other machines, or a user's program (FUSE), are behind a file system of this type. Orion wipes no such file system. */
export function isForeign(type: string): boolean {
  return NETWORK.has(type) || (type.startsWith('fuse.') && type !== 'fuse.fuse-overlayfs');
}

/** Parses /proc/self/mountinfo: proc_pid_mountinfo(5). Skips lines that are no valid entry. */
export function parseMountinfo(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const fields = line.split(' ');
    const dash = fields.indexOf('-', 6);
    const [point, options] = [fields[4], fields[5]];
    const [type, , ofFileSystem = ''] = fields.slice(dash + 1);
    return dash < 0 || point === undefined || options === undefined || type === undefined
      ? []
      : [{ point: unescape(point), type, options: new Set([...options.split(','), ...ofFileSystem.split(',')]) }];
  });
}

/** Decodes blanks and backslashes, which the kernel writes as octal numbers of three digits. */
const unescape = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

/** Finds the mount of a path without symbolic links: the nearest mount above it, and the newest of several at one place. */
export function mountOf(mounts: Mount[], path: string): Mount | undefined {
  const above = mounts.filter(({ point }) => path === point || path.startsWith(point.endsWith('/') ? point : `${point}/`));
  return above.reduce<Mount | undefined>(
    (nearest, mount) => (nearest && nearest.point.length > mount.point.length ? nearest : mount),
    undefined,
  );
}
