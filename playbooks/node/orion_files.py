# -*- coding: utf-8 -*-
"""Finds and removes the files of some ids on every writable local file system. Works with directory descriptors only: a path may be longer than
PATH_MAX, hold a newline, or be turned into a link under one's hands."""
import array
import fcntl
import itertools
import os
import stat

from orion_mounts import Layout, mounts
from orion_node import NO_FOLLOW_DIR

FS_IOC_GETFLAGS, FS_IOC_SETFLAGS = 0x80086601, 0x40086602
FS_IMMUTABLE, FS_APPEND = 0x10, 0x20
NAMES_KEPT = 50
# Names of a directory that are held at a time: a tenant makes as many files as the disk takes, and a list of all would fill the memory.
SLICE = 10000


class Progress:
    """How many entries of directories were removed. A wipe whose time is over before the last one has not failed if there are fewer now."""
    entries = 0


class Sweep:
    """One pass over the writable local file systems. After `run`: `removed` (count), `names` (some of them), `troubles`, and `owners`: the numbers that own what is left."""

    def __init__(self, ids):
        self.ids, self.removed, self.names, self.troubles = frozenset(ids), 0, [], []
        self.owners, self.layout = set(), Layout()

    def run(self):
        for point in self.layout.local():
            try:
                descriptor = os.open(point, NO_FOLLOW_DIR)
            except NotADirectoryError:
                continue  # a single file mounted over another
            except OSError as error:
                self._trouble(point, error)
                continue
            known = os.fstat(descriptor)
            self.owners.update((known.st_uid, known.st_gid))
            self._walk(descriptor, known.st_dev, point)
        self.owners -= self.ids
        return self

    def _walk(self, descriptor, device, path):
        """Takes over `descriptor`. Recursion is safe: only directories of others are entered, and their depth is the node's own."""
        try:
            while self._pass(descriptor, device, path):
                pass
        except OSError as error:
            self._trouble(path, error)
        finally:
            os.close(descriptor)

    def _pass(self, descriptor, device, path):
        """Whether there has to be another one: removing while reading a directory may skip entries, unless the listing was complete before."""
        count = removed = 0
        mounted = self.layout.names_in(path.rstrip(b'/') or b'/')
        for names in slices(descriptor):
            count += 1
            for name in map(os.fsencode, names):
                if name in mounted:
                    continue  # walked by itself, or not to be looked at
                try:
                    removed += self._visit(descriptor, name, (device, path))
                except OSError as error:
                    self._trouble(path.rstrip(b'/') + b'/' + name, error)
        return count > 1 and removed > 0

    def _visit(self, parent, name, at):
        """Whether the entry itself is gone."""
        device, path = at
        known = os.stat(name, dir_fd=parent, follow_symlinks=False)
        is_directory = stat.S_ISDIR(known.st_mode)
        # Only directories tell their device reliably: on an overlay a file may show the device of the layer below.
        if is_directory and known.st_dev != device:
            return False
        if known.st_uid in self.ids or (known.st_gid in self.ids and not is_directory):
            return self.remove(parent, name, path)
        self.owners.add(known.st_uid)
        self.owners.add(known.st_gid)
        if known.st_gid in self.ids:
            os.chown(name, known.st_uid, 0, dir_fd=parent, follow_symlinks=False)
        if is_directory:
            self._walk(os.open(name, NO_FOLLOW_DIR, dir_fd=parent), device, path.rstrip(b'/') + b'/' + name)
        return False

    def remove(self, parent, name, path):
        """Removes an entry of the directory `parent`, with its content if it is a directory. Gone already is fine. Returns whether it went now."""
        try:
            if self.layout.inside(path.rstrip(b'/') + b'/' + name):
                raise OSError(16, 'a file system that is not this machine\'s own is mounted inside')
            remove_entry(parent, name)
        except FileNotFoundError:
            return False
        except OSError as error:
            self._trouble(path.rstrip(b'/') + b'/' + name, error)
            return False
        self.removed += 1
        if len(self.names) < NAMES_KEPT:
            self.names.append((path.rstrip(b'/') + b'/' + name).decode(errors='backslashreplace')[:500])
        return True

    def _trouble(self, path, error):
        if not isinstance(error, FileNotFoundError) and len(self.troubles) < NAMES_KEPT:
            self.troubles.append('%s: %s' % (path.decode(errors='backslashreplace')[:500], error.strerror))


def slices(directory):
    """The names of a directory, SLICE of them at a time."""
    with os.scandir(directory) as found:
        while True:
            names = [entry.name for entry in itertools.islice(found, SLICE)]
            if not names:
                return
            yield names


def remove_entry(parent, name):
    if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        _forced(parent, name, lambda: os.unlink(name, dir_fd=parent))
        return
    top = os.open(name, NO_FOLLOW_DIR, dir_fd=parent)
    try:
        _empty(top, top, [0])
    finally:
        os.close(top)
    _forced(parent, name, lambda: os.rmdir(name, dir_fd=parent))


def _empty(directory, top, counter):
    """Empties a directory. Each subdirectory is first moved up into `top`, so that no depth ever needs a long path or many
    descriptors; where that cannot be (EXDEV for a directory of an overlay's lower layer) it is entered in place."""
    names = next(slices(directory), [])
    while names:
        for name in names:
            known = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if not stat.S_ISDIR(known.st_mode):
                _forced(directory, name, lambda name=name: os.unlink(name, dir_fd=directory))
            elif directory == top or not _moved(directory, name, (top, counter)):
                _empty_and_drop(directory, name, (top, counter))
        names = next(slices(directory), [])


def _moved(directory, name, up):
    top, counter = up
    counter[0] += 1
    try:
        os.rename(name, '.orion-wipe-%d-%d' % (os.getpid(), counter[0]), src_dir_fd=directory, dst_dir_fd=top)
        return True
    except OSError:
        return False


def _empty_and_drop(directory, name, up):
    top, counter = up
    child = os.open(name, NO_FOLLOW_DIR, dir_fd=directory)
    try:
        if os.fstat(child).st_dev != os.fstat(top).st_dev:
            raise OSError(16, 'another file system is mounted inside')
        _unprotect(child)
        _empty(child, top, counter)
    finally:
        os.close(child)
    _forced(directory, name, lambda: os.rmdir(name, dir_fd=directory))


def _forced(parent, name, remove):
    """Once more without the immutable and append-only flags if the first attempt is refused."""
    try:
        remove()
    except PermissionError:
        _unprotect(parent)
        try:
            entry = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
        except OSError:
            entry = None
        if entry is not None:
            _unprotect(entry)
            os.close(entry)
        remove()
    Progress.entries += 1


def _unprotect(descriptor):
    flags = array.array('L', [0])
    try:
        fcntl.ioctl(descriptor, FS_IOC_GETFLAGS, flags, True)
        if flags[0] & (FS_IMMUTABLE | FS_APPEND):
            fcntl.ioctl(descriptor, FS_IOC_SETFLAGS, array.array('L', [flags[0] & ~(FS_IMMUTABLE | FS_APPEND)]))
    except OSError:
        pass


def remove_cgroups(uids):
    """Control groups that were given to an account, and those that it made below; they are empty by now. Returns how many."""
    removed = 0
    for point, kind, options in mounts():
        if kind not in ('cgroup', 'cgroup2') or b'ro' in options:
            continue
        for folder, names, _files in os.walk(point, topdown=False):
            removed += sum(_remove_cgroup(os.path.join(folder, name), uids) for name in names)
    return removed


def _remove_cgroup(path, uids):
    try:
        if os.lstat(path).st_uid not in uids:
            return False
        os.rmdir(path)
        return True
    except FileNotFoundError:
        return False
