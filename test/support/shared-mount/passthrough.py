"""A FUSE file system in the mount namespace of a worker, over a folder of the host: what several machines mount is one thing, and files keep the uids of those who
write them, as on NFS. Speaks the kernel's protocol itself (linux/fuse.h). Usage: passthrough.py FOLDER PID POINT TYPE [squash]. With `squash` root of the worker may
not look into it. Prints `up` once it is mounted; a stopped process is a server that does not answer."""
import ctypes
import errno
import os
import struct
import sys

LOOKUP, FORGET, GETATTR, SETATTR, MKDIR, UNLINK, RMDIR, RENAME, OPEN, READ, WRITE, STATFS, RELEASE, FLUSH = 1, 2, 3, 4, 9, 10, 11, 12, 14, 15, 16, 17, 18, 25
INIT, OPENDIR, READDIR, RELEASEDIR, ACCESS, CREATE, INTERRUPT, DESTROY, BATCH_FORGET = 26, 27, 28, 29, 34, 35, 36, 38, 42
SILENT = (FORGET, BATCH_FORGET, INTERRUPT)


class Passthrough:
    def __init__(self, base, device, squash):
        self.base, self.device, self.squash = base, device, squash
        self.paths, self.ids = {1: '.'}, {'.': 1}

    def serve(self):
        while True:
            try:
                data = os.read(self.device, 1 << 20)
            except OSError as error:
                if error.errno == errno.ENODEV:
                    return
                raise
            _size, code, unique, node, uid, gid, _pid, _pad = struct.unpack_from('<IIQQIIII', data)
            try:
                answer = self.answer(code, node, (uid, gid), data[40:])
                failure = 0
            except OSError as error:
                answer, failure = b'', error.errno
            if code not in SILENT:
                os.write(self.device, struct.pack('<IiQ', 16 + len(answer), -failure, unique) + answer)

    def answer(self, code, node, who, body):
        if code == INIT:
            return struct.pack('<IIIIHHIIHHI28x', 7, 31, 1 << 16, 0, 10, 9, 1 << 16, 1, 0, 0, 0)
        if self.squash and who[0] == 0 and code not in SILENT + (DESTROY, RELEASE, RELEASEDIR, FLUSH):
            raise OSError(errno.EACCES, 'squashed')
        path = self.paths.get(node, '.')
        if code in (LOOKUP, MKDIR, UNLINK, RMDIR, CREATE):
            return self.named(code, path, who, body)
        if code in (GETATTR, SETATTR):
            return self.attributes(code, path, body)
        if code == READ:
            file, offset, size = struct.unpack_from('<QQI', body)
            return os.pread(file, size, offset)
        if code == WRITE:
            file, offset, size = struct.unpack_from('<QQI', body)
            return struct.pack('<II', os.pwrite(file, body[40:40 + size], offset), 0)
        if code in (OPEN, OPENDIR):
            flags = struct.unpack_from('<I', body)[0] & ~os.O_NOFOLLOW
            return struct.pack('<QII', os.open(path, flags, dir_fd=self.base), 0, 0)
        if code == READDIR:
            return self.listing(path, body)
        if code in (RELEASE, RELEASEDIR):
            os.close(struct.unpack_from('<Q', body)[0])
            return b''
        if code == STATFS:
            return struct.pack('<QQQQQIIII24x', 1 << 20, 1 << 19, 1 << 19, 1 << 20, 1 << 19, 4096, 255, 4096, 0)
        if code in SILENT + (FLUSH, ACCESS, DESTROY):
            return b''
        raise OSError(errno.ENOSYS, 'not built')

    def named(self, code, parent, who, body):
        skip = {MKDIR: 8, CREATE: 16}.get(code, 0)
        path = os.path.normpath(os.path.join(parent, body[skip:].split(b'\0')[0].decode()))
        if code == UNLINK:
            os.unlink(path, dir_fd=self.base)
            return b''
        if code == RMDIR:
            os.rmdir(path, dir_fd=self.base)
            return b''
        opened = b''
        if code == MKDIR:
            os.mkdir(path, struct.unpack_from('<I', body)[0] & 0o7777, dir_fd=self.base)
            os.chown(path, *who, dir_fd=self.base)
        if code == CREATE:
            flags, mode = struct.unpack_from('<II', body)
            file = os.open(path, flags | os.O_CREAT, mode & 0o7777, dir_fd=self.base)
            os.fchown(file, *who)
            opened = struct.pack('<QII', file, 0, 0)
        known = self.stat(path)
        self.ids.setdefault(path, len(self.ids) + 1)
        self.paths[self.ids[path]] = path
        return struct.pack('<QQQQII', self.ids[path], 0, 0, 0, 0, 0) + attributes_of(known) + opened

    def attributes(self, code, path, body):
        if code == SETATTR:
            valid, _pad, _file, size = struct.unpack_from('<IIQQ', body)
            mode, _unused, uid, gid = struct.unpack_from('<IIII', body, 68)
            if valid & 8:
                os.truncate(os.open(path, os.O_WRONLY, dir_fd=self.base), size)
            if valid & 1:
                os.chmod(path, mode & 0o7777, dir_fd=self.base)
            if valid & 6:
                os.chown(path, uid if valid & 2 else -1, gid if valid & 4 else -1, dir_fd=self.base)
        return struct.pack('<QII', 0, 0, 0) + attributes_of(self.stat(path))

    def stat(self, path):
        return os.stat(path, dir_fd=self.base, follow_symlinks=False)

    def listing(self, path, body):
        _file, offset, size = struct.unpack_from('<QQI', body)
        folder = os.open(path, os.O_RDONLY, dir_fd=self.base)
        names = ['.', '..'] + sorted(os.listdir(folder))
        os.close(folder)
        answer = b''
        for at, name in enumerate(names[offset:], offset + 1):
            entry = struct.pack('<QQII', at, at, len(name.encode()), 0) + name.encode()
            entry += b'\0' * (-len(entry) % 8)
            if len(answer) + len(entry) > size:
                break
            answer += entry
        return answer


def attributes_of(known):
    times = (int(known.st_atime), int(known.st_mtime), int(known.st_ctime))
    return struct.pack('<QQQQQQIIIIIIIIII', known.st_ino, known.st_size, known.st_blocks, *times, 0, 0, 0, known.st_mode, known.st_nlink, known.st_uid, known.st_gid,
                       0, 4096, 0)


def main():
    folder, pid, point, kind = sys.argv[1:5]
    base = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    device = os.open('/dev/fuse', os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    space = os.open('/proc/%s/ns/mnt' % pid, os.O_RDONLY)
    if libc.setns(space, 0) != 0:
        raise OSError(ctypes.get_errno(), 'setns')
    os.makedirs(point, exist_ok=True)
    squash = sys.argv[5:] == ['squash']
    options = 'fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other%s' % (device, '' if squash else ',default_permissions')
    if libc.mount(b'shared', point.encode(), kind.encode(), 0, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), 'mount')
    print('up', flush=True)
    os.umask(0)
    Passthrough(base, device, squash).serve()


main()
