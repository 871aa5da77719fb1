# -*- coding: utf-8 -*-
"""Copies /etc/skel into a new home as `useradd -m` does: folders, files, hard links and symbolic links with their modes and times, all of them the
tenant's. Names and contents are bytes. Sockets, FIFOs and devices are left out."""
import os
import stat

from orion_node import NO_FOLLOW_DIR, Trouble

SKELETON = b'/etc/skel'
# Each account gets a copy: whoever has more there does not mean it.
MAX_ENTRIES, MAX_BYTES, MAX_DEPTH = 10000, 512 << 20, 64
CHUNK = 1 << 20


class Copy:
    """`home` is an open directory that only root can enter: nobody can put a link in the way. What a copy that was cut short left is replaced."""

    def __init__(self, home_path, uid):
        self.home_path, self.uid = os.fsencode(home_path), uid
        self.entries, self.bytes, self.linked = 0, 0, {}

    def run(self, home):
        try:
            source = os.open(SKELETON, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return
        self._folder(source, home, b'')

    def _folder(self, source, target, path):
        """Takes over `source`."""
        try:
            if path.count(b'/') > MAX_DEPTH:
                raise Trouble('/etc/skel is deeper than %d folders' % MAX_DEPTH)
            for name in map(os.fsencode, os.listdir(source)):
                self.entries += 1
                if self.entries > MAX_ENTRIES:
                    raise Trouble('/etc/skel holds more than %d files' % MAX_ENTRIES)
                self._entry(source, target, name, path)
        finally:
            os.close(source)

    def _entry(self, source, target, name, path):
        known = os.stat(name, dir_fd=source, follow_symlinks=False)
        if stat.S_ISDIR(known.st_mode):
            self._subfolder(source, target, name, path)
        elif stat.S_ISREG(known.st_mode) or stat.S_ISLNK(known.st_mode):
            remove(name, target)
            if stat.S_ISLNK(known.st_mode):
                os.symlink(self._moved(os.readlink(name, dir_fd=source)), name, dir_fd=target)
                os.chown(name, self.uid, self.uid, dir_fd=target, follow_symlinks=False)
            elif (known.st_dev, known.st_ino) in self.linked:
                os.link(self.linked[known.st_dev, known.st_ino], name, dst_dir_fd=target, follow_symlinks=False)
            else:
                self._file(source, target, name)
                if known.st_nlink > 1:
                    self.linked[known.st_dev, known.st_ino] = self.home_path + path + b'/' + name
        else:
            return
        os.utime(name, ns=(known.st_atime_ns, known.st_mtime_ns), dir_fd=target, follow_symlinks=False)

    def _moved(self, target):
        """A link into the skeleton leads into the home, as useradd has it."""
        if target == SKELETON or target.startswith(SKELETON + b'/'):
            return self.home_path + target[len(SKELETON):]
        return target

    def _subfolder(self, source, target, name, path):
        try:
            os.mkdir(name, 0o700, dir_fd=target)
        except FileExistsError:
            pass
        inside = os.open(name, NO_FOLLOW_DIR, dir_fd=target)
        try:
            outside = os.open(name, NO_FOLLOW_DIR, dir_fd=source)
            mode = stat.S_IMODE(os.fstat(outside).st_mode)
            self._folder(outside, inside, path + b'/' + name)
            os.fchown(inside, self.uid, self.uid)
            os.fchmod(inside, mode)
        finally:
            os.close(inside)

    def _file(self, source, target, name):
        reader = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
        try:
            mode = stat.S_IMODE(os.fstat(reader).st_mode)
            writer = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=target)
            with os.fdopen(writer, 'wb', buffering=0) as copy:
                self._bytes(reader, copy)
                os.fchown(writer, self.uid, self.uid)
                os.fchmod(writer, mode)
        finally:
            os.close(reader)

    def _bytes(self, reader, copy):
        while True:
            chunk = os.read(reader, CHUNK)
            if not chunk:
                return
            self.bytes += len(chunk)
            if self.bytes > MAX_BYTES:
                raise Trouble('/etc/skel holds more than %d MiB' % (MAX_BYTES >> 20))
            while chunk:
                chunk = chunk[copy.write(chunk):]


def remove(name, parent):
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        pass
