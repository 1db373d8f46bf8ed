"""Two programs on the same files of a folder: one opens them, writes over all of them and closes, the other renames and removes them.

Every file has an identity that its content tells, which writing does not change and renaming takes along, so that it is known what
each name must hold although nobody says which of two system calls came first. Runs until a system call fails, as it does when the
mount dies, or SIGTERM comes; then says as JSON what was accepted and what was not answered. Started by rivals.mount.test.ts: argv is
the folder and a seed.
"""

import errno
import json
import os
import random
import signal
import sys
import threading
import time

LINE = 16
LINES = 1000
NAMES = ["a", "b", "c", "d"]
STOP = threading.Event()
LOCK = threading.Lock()

names = {}
history = {}
asked = None
writing = None
errors = []


def content(file, number):
    return f"{file}.{number}".ljust(LINE - 1) + "\n"


def write_all(fd, line):
    data = line.encode() * LINES
    while data:
        data = data[os.write(fd, data) :]


def rename_and_remove(root, rng):
    global asked
    count = 0
    while not STOP.is_set():
        count += 1
        name = rng.choice(NAMES)
        if name not in names:
            file, temporary = f"f{count}", f".{name}.tmp"
            line = content(file, 0)
            with LOCK:
                history[file] = []
                asked = {"op": "create", "name": temporary, "line": line}
            fd = os.open(os.path.join(root, temporary), os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            write_all(fd, line)
            os.close(fd)
            with LOCK:
                history[file].append(line)
                names[temporary] = file
            rename(root, temporary, name)
        elif rng.random() < 0.1:
            asked = {"op": "unlink", "name": name}
            os.unlink(os.path.join(root, name))
            with LOCK:
                del names[name]
                asked = None
        else:
            rename(root, name, rng.choice([each for each in NAMES if each != name]))
        time.sleep(rng.random() * 0.15)


def rename(root, source, target):
    global asked
    asked = {"op": "rename", "from": source, "to": target}
    os.rename(os.path.join(root, source), os.path.join(root, target))
    with LOCK:
        names[target] = names.pop(source)
        asked = None


def write(root, rng):
    global writing
    count = 0
    while not STOP.is_set():
        count += 1
        try:
            fd = os.open(os.path.join(root, rng.choice(NAMES)), os.O_RDWR)
        except FileNotFoundError:
            time.sleep(0.01)
            continue
        try:
            file = os.pread(fd, LINE, 0).decode().split(".")[0]
        except OSError as error:
            # Removed right after it was opened.
            if errno_name(error) != "ESTALE":
                raise
            os.close(fd)
            continue
        # Renamed meanwhile, perhaps, while all of it was on the server.
        time.sleep(rng.random() * 0.3)
        line = content(file, count)
        with LOCK:
            writing = {"file": file, "line": line}
        write_all(fd, line)
        if rng.random() < 0.2:
            os.fsync(fd)
        if rng.random() < 0.3:
            time.sleep(rng.random() * 0.1)
        os.close(fd)
        with LOCK:
            history[file].append(line)
            writing = None
        time.sleep(rng.random() * 0.1)


def errno_name(error):
    return errno.errorcode.get(error.errno, str(error.errno))


def guarded(work, *args):
    try:
        work(*args)
    except OSError as error:
        errors.append(errno_name(error))
        STOP.set()


def main():
    root, seed = sys.argv[1], sys.argv[2]
    signal.signal(signal.SIGTERM, lambda *_: STOP.set())
    threads = [
        threading.Thread(target=guarded, args=(work, root, random.Random(f"{seed}/{work.__name__}")))
        for work in (rename_and_remove, write)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"names": names, "history": history, "asked": asked, "writing": writing, "errors": errors}))


main()
