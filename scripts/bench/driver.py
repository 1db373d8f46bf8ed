# What programs do with a mount, timed: started by transport.ts once per measurement, in a process that is not the serving one.
# Usage: driver.py ROW PATH COUNT. Prints the seconds that the loop took, without the start of this interpreter.
# Invariant: one system call or two per step and nothing else, so that the mount is what is measured.
import os
import sys
import time

MIB = 1 << 20


def stat_files(path, count):
    names = [f"{path}/f{n % 10000:05}" for n in range(count)]
    start = time.perf_counter()
    for name in names:
        os.stat(name)
    return time.perf_counter() - start


def list_names(path, count):
    start = time.perf_counter()
    for n in range(count):
        assert len(os.listdir(f"{path}-{n}")) == 10000
    return time.perf_counter() - start


# As ls -l does: each name is looked at when it is read.
def list_with_stat(path, count):
    start = time.perf_counter()
    for n in range(count):
        with os.scandir(f"{path}-{n}") as entries:
            assert sum(os.stat(entry.path).st_nlink for entry in entries) == 10000
    return time.perf_counter() - start


def read_file(path, count):
    data = bytearray(MIB)
    file = os.open(path, os.O_RDONLY)
    start = time.perf_counter()
    for _ in range(count):
        assert os.readv(file, [data]) == MIB
    elapsed = time.perf_counter() - start
    # Returns the memory: the next round reads another file.
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)
    return elapsed


def write_file(path, count):
    data = b"\x5a" * MIB
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    start = time.perf_counter()
    for _ in range(count):
        assert os.write(file, data) == MIB
    os.close(file)
    elapsed = time.perf_counter() - start
    os.unlink(path)
    return elapsed


work = {
    "stat": stat_files,
    "names": list_names,
    "list": list_with_stat,
    "read": read_file,
    "write": write_file,
}[sys.argv[1]]
print(work(sys.argv[2], int(sys.argv[3])))
