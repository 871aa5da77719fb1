export interface Mount {
  point: string;
  type: string;
  /** Of the mount and of the file system. */
  options: Set<string>;
}

const NETWORK = new Set(['nfs', 'nfs4', 'cifs', 'smb3', 'smbfs', 'ncpfs', 'afs', 'ceph', 'lustre', 'glusterfs', '9p', 'beegfs', 'gpfs', 'gfs2', 'ocfs2', 'orangefs', 'autofs']);

/** Whether other machines, or a program of somebody's, are behind a file system of this type: Orion wipes none of those. */
export function isForeign(type: string): boolean {
  return NETWORK.has(type) || (type.startsWith('fuse.') && type !== 'fuse.fuse-overlayfs');
}

/** The lines of /proc/self/mountinfo: proc_pid_mountinfo(5). Lines that are none are passed over. */
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

/** The kernel writes blanks and backslashes as octal numbers of three digits. */
const unescape = (text: string): string => text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

/** Where a path without symbolic links lies: of the mounts above it the nearest, and of several at one place the newest. */
export function mountOf(mounts: Mount[], path: string): Mount | undefined {
  const above = mounts.filter(({ point }) => path === point || path.startsWith(point.endsWith('/') ? point : `${point}/`));
  return above.reduce<Mount | undefined>((nearest, mount) => (nearest && nearest.point.length > mount.point.length ? nearest : mount), undefined);
}
