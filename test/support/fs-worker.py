"""Makes system calls for the tests and answers with their result or errno, one JSON object a line.

A process of its own, because the test process serves the mount and may never block on it, and because it can hold
descriptors open. Paths are strings (surrogateescape for bytes that are not UTF-8), data travels as base64.
Started by fs-worker.ts; ends when its standard input closes.
"""

import base64
import ctypes
import errno
import fcntl
import json
import mmap
import os
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100


def flags_of(text):
    value = 0
    for name in text.split("|"):
        value |= getattr(os, name)
    return value


def write_all(fd, data, offset):
    done = 0
    while done < len(data):
        n = os.pwrite(fd, data[done:], offset + done) if offset is not None else os.write(fd, data[done:])
        done += n
    return done


def read_all(fd):
    chunks = []
    while True:
        chunk = os.read(fd, 1 << 20)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)


def stat_dict(st):
    kind = {0o040000: "dir", 0o100000: "file"}.get(st.st_mode & 0o170000, "other")
    return {
        "ino": st.st_ino, "mode": st.st_mode & 0o7777, "kind": kind, "size": st.st_size, "nlink": st.st_nlink,
        "uid": st.st_uid, "gid": st.st_gid, "blocks": st.st_blocks,
        "mtimeNs": str(st.st_mtime_ns), "atimeNs": str(st.st_atime_ns), "ctimeNs": str(st.st_ctime_ns),
    }


def renameat2(old, new, flags):
    if LIBC.renameat2(AT_FDCWD, os.fsencode(old), AT_FDCWD, os.fsencode(new), flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def fallocate(fd, mode, offset, length):
    LIBC.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
    if LIBC.fallocate(fd, mode, offset, length) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def write_file(path, data):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        write_all(fd, base64.b64decode(data), None)
    finally:
        os.close(fd)


def read_file(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        return base64.b64encode(read_all(fd)).decode()
    finally:
        os.close(fd)


def mmap_write(path, offset, data):
    data = base64.b64decode(data)
    with open(path, "r+b") as file:
        with mmap.mmap(file.fileno(), 0) as view:
            view[offset : offset + len(data)] = data
            view.flush()


MAP_SHARED = 1
PROT_READ_WRITE = 3
MS_SYNC = 4


def map_shared(fd, length):
    """mmap(2) itself: Python's mmap keeps a duplicate of the descriptor, whose close is a close of the file."""
    LIBC.mmap.restype = ctypes.c_void_p
    LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    address = LIBC.mmap(None, length, PROT_READ_WRITE, MAP_SHARED, fd, 0)
    if address == ctypes.c_void_p(-1).value:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return address


def poke(address, data):
    data = base64.b64decode(data)
    ctypes.memmove(address, data, len(data))


def on_mapping(call, address, *args):
    if call(ctypes.c_void_p(address), *args) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


OPS = {
    "open": lambda path, flags, mode=0o666: os.open(path, flags_of(flags), mode),
    "close": os.close,
    "pread": lambda fd, size, offset: base64.b64encode(os.pread(fd, size, offset)).decode(),
    "pwrite": lambda fd, data, offset: write_all(fd, base64.b64decode(data), offset),
    "write": lambda fd, data: write_all(fd, base64.b64decode(data), None),
    "ftruncate": os.ftruncate,
    "truncate": os.truncate,
    "fsync": os.fsync,
    "fallocate": fallocate,
    "rename": os.rename,
    "renameat2": renameat2,
    "unlink": os.unlink,
    "mkdir": os.mkdir,
    "rmdir": os.rmdir,
    "link": os.link,
    "symlink": os.symlink,
    "mkfifo": os.mkfifo,
    "mknod": lambda path: os.mknod(path, 0o100644),
    "chmod": os.chmod,
    "chown": os.chown,
    "utime": lambda path, atime, mtime: os.utime(path, ns=(int(atime), int(mtime))),
    "stat": lambda path: stat_dict(os.stat(path)),
    "fstat": lambda fd: stat_dict(os.fstat(fd)),
    "access": lambda path, mask: os.access(path, mask),
    "listdir": lambda path: sorted(os.listdir(path)),
    "statvfs": lambda path: (lambda s: {"frsize": s.f_frsize, "blocks": s.f_blocks, "bavail": s.f_bavail,
                                        "bfree": s.f_bfree, "namemax": s.f_namemax})(os.statvfs(path)),
    "setxattr": lambda path, name, value: os.setxattr(path, name, base64.b64decode(value)),
    "getxattr": lambda path, name: base64.b64encode(os.getxattr(path, name)).decode(),
    "removexattr": os.removexattr,
    "listxattr": os.listxattr,
    "flock": lambda fd, how: fcntl.flock(fd, how),
    "lockf": lambda fd, how: fcntl.lockf(fd, how),
    "writeFile": write_file,
    "readFile": read_file,
    "mmapWrite": mmap_write,
    "mapShared": map_shared,
    "poke": poke,
    "msync": lambda address, length: on_mapping(LIBC.msync, address, ctypes.c_size_t(length), MS_SYNC),
    "munmap": lambda address, length: on_mapping(LIBC.munmap, address, ctypes.c_size_t(length)),
}


def main():
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"id": request["id"], "value": OPS[request["op"]](*request["args"])}
        except OSError as error:
            code = errno.errorcode.get(error.errno, str(error.errno))
            answer = {"id": request["id"], "errno": "ENOTSUP" if code == "EOPNOTSUPP" else code}
        print(json.dumps(answer), flush=True)


main()
