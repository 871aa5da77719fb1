# -*- coding: utf-8 -*-
"""Which mounted file systems are this machine's own. A wipe walks those alone: what lies on a network or cluster file system may be anybody's, and a server that is
gone would hang every look at it. mountinfo is all that is asked: no mount point of another's is opened or looked at."""
import os
import re

# Their files are kept here, by this kernel. A type that is in neither list is not walked.
LOCAL = frozenset(('ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'zfs', 'f2fs', 'bcachefs', 'jfs', 'reiserfs', 'nilfs2', 'minix', 'vfat', 'msdos', 'exfat', 'ntfs', 'ntfs3',
                   'hfs', 'hfsplus', 'udf', 'iso9660', 'squashfs', 'erofs', 'ubifs', 'jffs2', 'tmpfs', 'ramfs', 'rootfs', 'devtmpfs', 'hugetlbfs', 'overlay'))
# They keep no files of anybody's.
PSEUDO = frozenset(('proc', 'sysfs', 'cgroup', 'cgroup2', 'devpts', 'mqueue', 'securityfs', 'debugfs', 'tracefs', 'pstore', 'configfs', 'fusectl', 'bpf',
                    'rpc_pipefs', 'nfsd', 'binfmt_misc', 'autofs', 'nsfs', 'efivarfs', 'selinuxfs', 'fuse.lxcfs', 'fuse.gvfsd-fuse', 'fuse.portal'))
LINKS = 40


def mounts():
    """[mount point, type, options] of this mount namespace."""
    found = []
    with open('/proc/self/mountinfo', 'rb') as file:
        for line in file:
            before, _, after = line.partition(b' - ')
            fields, rest = before.split(), after.split()
            point = re.sub(rb'\\([0-7]{3})', lambda match: bytes([int(match.group(1), 8)]), fields[4])
            options = set(fields[5].split(b',')) | set(rest[-1].split(b','))
            found.append([point, rest[0].decode(errors='backslashreplace'), options])
    return found


class Layout:
    """The mounts as they are now. Of several at one point only the last one can be reached."""

    def __init__(self):
        self.tops = {point: (kind, options) for point, kind, options in mounts()}
        self.foreign = [point for point, (kind, _options) in self.tops.items() if kind not in LOCAL and kind not in PSEUDO]

    def local(self):
        """Mount points that a wipe walks: of local file systems, writable, on no foreign one."""
        return [point for point in self._writable() if self.tops[point][0] in LOCAL and not self.is_foreign(point)]

    def not_examined(self):
        """`type path` of each writable file system that is not walked, and is more than the kernel's own account of things."""
        return sorted('%s %s' % (self.tops[point][0], readable(point)) for point in self._writable()
                      if self.tops[point][0] not in PSEUDO and (self.tops[point][0] not in LOCAL or self.is_foreign(point)))

    def _writable(self):
        return [point for point, (_kind, options) in self.tops.items() if b'ro' not in options]

    def is_foreign(self, path):
        """Whether looking at the path would have to do with a foreign file system."""
        return any(is_below(path, point) for point in self.foreign)

    def inside(self, path):
        """Whether a foreign file system is mounted somewhere below the path."""
        return any(point != path and is_below(point, path) for point in self.foreign)

    def names_in(self, path):
        """Entries of a directory that are mount points: each is walked by itself, or not at all."""
        return self.by_parent.get(path, ())

    @property
    def by_parent(self):
        if not hasattr(self, '_by_parent'):
            self._by_parent = {}
            for point in self.tops:
                parent, name = os.path.split(point)
                if name:
                    self._by_parent.setdefault(parent, set()).add(name)
        return self._by_parent

    def type_of(self, path):
        """The type of the file system that holds a path, its links followed: no component on a foreign one is looked at."""
        here, kind, links = b'', self._type_at(b''), 0
        todo = path.split(b'/')
        while todo and kind in LOCAL:
            name = todo.pop(0)
            if name in (b'', b'.'):
                continue
            if name == b'..':
                here = os.path.dirname(here).rstrip(b'/')
                kind = self._type_at(here)
                continue
            step = here + b'/' + name
            target = None if step in self.tops else link_at(step)
            if target is None:
                here, kind = step, self._type_at(step)
                continue
            links += 1
            if links > LINKS:
                break
            todo = target.split(b'/') + todo
            if target.startswith(b'/'):
                here, kind = b'', self._type_at(b'')
        return kind

    def _type_at(self, path):
        while path and path not in self.tops:
            path = os.path.dirname(path).rstrip(b'/')
        return self.tops.get(path or b'/', ('unknown', ()))[0]


def is_below(path, point):
    """The point itself is below it, too."""
    return path == point or path.startswith(point.rstrip(b'/') + b'/')


def link_at(path):
    try:
        return os.readlink(path)
    except OSError:  # no link, or nothing at all
        return None


def readable(path):
    return path.decode(errors='backslashreplace').replace('\n', '?')[:500]
