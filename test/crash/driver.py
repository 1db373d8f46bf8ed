"""Changes files below a mount until the mount dies or SIGTERM comes, and writes down what was asked and what was accepted.

Each worker has a folder of its own. Before a change a line with its effect goes to standard output, after the system calls
returned a second one: what has both lines was accepted. With "go-on" a change that failed is followed by a line that tells
what the mount shows now, and the worker goes on from there; without it a failure ends the worker. Content is made of 16-byte lines that name the change, so that a
reader can tell which change a piece came from. Started by manifest.ts: argv is folder, number of workers, seed, longest pause
in ms, and perhaps "go-on".
"""

import errno
import hashlib
import json
import os
import random
import signal
import sys
import threading
import time

LINE = 16
LOCK = threading.Lock()
STOP = threading.Event()


def say(**line):
    with LOCK:
        print(json.dumps(line), flush=True)


def text_of(segments):
    """Segments are [token, first, end): lines `first` up to `end` of the content that the token names."""
    return "".join(f"{token:<8}{n:07d}\n" for token, first, end in segments for n in range(first, end)).encode()


def state_of(segments):
    data = text_of(segments)
    return f"{len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}"


def write_all(fd, data, pieces):
    step = max(1, len(data) // pieces)
    for start in range(0, len(data), step):
        piece = data[start : start + step]
        while piece:
            piece = piece[os.write(fd, piece) :]


class Failed(Exception):
    """A change failed, and what is there now is known."""


class Worker:
    def __init__(self, root, number, seed, pause, goes_on):
        self.number = number
        self.root = os.path.join(root, f"w{number}")
        self.random = random.Random(f"{seed}/{number}")
        self.pause = pause
        self.goes_on = goes_on
        self.files = {}
        self.folders = set()
        self.count = 0
        for name in sorted(os.listdir(self.root)):
            with open(os.path.join(self.root, name), "rb") as file:
                lines = file.read().decode().splitlines()
            self.files[name] = [[lines[0][:8].strip(), 0, len(lines)]] if lines else []

    def real(self, path):
        return os.path.join(self.root, path)

    def change(self, op, changes, work, **more):
        """`changes`: path -> segments, None (no such file); folders end in "/", with [] or None."""
        self.count += 1
        states = {}
        for path, content in changes.items():
            isDir = path.endswith("/")
            states[path] = None if content is None else "" if isDir else state_of(content)
        say(worker=self.number, n=self.count, op=op, changes=states, **more)
        try:
            work()
        except OSError as error:
            if not self.goes_on:
                raise
            self.look(changes, errno.errorcode.get(error.errno, str(error.errno)))
            raise Failed from error
        say(worker=self.number, n=self.count, done=True)
        self.remember(changes)

    def look(self, changes, code):
        """Tells what the mount shows of what a failed change was about, and goes on from there."""
        seen = {path: self.seen(path, content) for path, content in changes.items()}
        states = {}
        for path, content in seen.items():
            states[path] = None if content is None else "" if path.endswith("/") else state_of(content)
        say(worker=self.number, n=self.count, failed=code, seen=states)
        self.remember(seen)

    def seen(self, path, wanted):
        if path.endswith("/"):
            return [] if os.path.isdir(self.real(path)) else None
        try:
            with open(self.real(path), "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return None
        for content in (wanted, self.files.get(path)):
            if content is not None and text_of(content) == data:
                return content
        say(worker=self.number, torn=path)
        return wanted or []

    def remember(self, changes):
        for path, content in changes.items():
            if path.endswith("/"):
                (self.folders.discard if content is None else self.folders.add)(path)
            elif content is None:
                self.files.pop(path, None)
            else:
                self.files[path] = content

    def lines(self):
        return self.random.choice([0, 1, 7, 40, 40, 200, 200, 1500, 1500, 20000, 70000])

    def folder(self):
        return self.random.choice(["", "", *sorted(self.folders)])

    def free(self):
        for _ in range(50):
            name = self.folder() + self.random.choice("abcdefgh") + self.random.choice(["", ".txt", ".tar.gz"])
            if name not in self.files and name + "/" not in self.folders:
                return name
        return f"f{self.count}"

    def file(self):
        return self.random.choice(sorted(self.files)) if self.files else None

    def put(self, path, flags, before, after, data, offset):
        def work():
            fd = os.open(self.real(path), flags, 0o666)
            if offset:
                os.lseek(fd, offset, os.SEEK_SET)
            write_all(fd, data, self.random.randint(1, 4))
            if self.random.random() < 0.1:
                os.fsync(fd)
            os.close(fd)

        self.change("put", {path: after}, work, path=path, before=before, after=after)

    def write(self, path=None):
        path = path or (self.file() if self.random.random() < 0.6 else None) or self.free()
        after = [[f"{self.number}n{self.count}", 0, self.lines()]]
        self.put(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, [], after, text_of(after), 0)

    def append(self):
        path = self.file()
        if path is None:
            return
        before = self.files[path]
        added = [f"{self.number}n{self.count}", 0, self.random.randint(1, 300)]
        self.put(path, os.O_WRONLY | os.O_APPEND, before, [*before, added], text_of([added]), 0)

    def patch(self):
        path = self.file()
        before = self.files.get(path)
        if not before or len(before) != 1 or before[0][2] < 3:
            return
        [token, first, end] = before[0]
        start = self.random.randrange(first + 1, end - 1)
        stop = min(end - 1, start + self.random.randint(1, 500))
        fresh = [f"{self.number}n{self.count}", start, stop]
        after = [[token, first, start], fresh, [token, stop, end]]
        self.put(path, os.O_WRONLY, before, after, text_of([fresh]), (start - first) * LINE)

    def rename(self, source=None, target=None):
        source = source or self.file()
        if source is None:
            return
        target = target or (self.file() if self.random.random() < 0.4 else self.free())
        if target == source:
            return
        changes = {source: None, target: self.files[source]}
        self.change("rename", changes, lambda: os.rename(self.real(source), self.real(target)))

    def save(self):
        path = self.file()
        if path is None:
            return
        parent, name = os.path.split(path)
        temporary = os.path.join(parent, f".{name}.{self.count}.tmp")
        self.write(temporary)
        self.rename(temporary, path)

    def unlink(self, path=None):
        path = path or self.file()
        if path is not None:
            self.change("unlink", {path: None}, lambda: os.unlink(self.real(path)))

    def mkdir(self):
        name = f"d{self.count}/"
        self.change("mkdir", {name: []}, lambda: os.mkdir(self.real(name)))
        for _ in range(self.random.randint(0, 3)):
            self.write(name + self.random.choice("xyz"))

    def inside(self, folder):
        return sorted(path for path in self.files if path.startswith(folder))

    def move_folder(self):
        if not self.folders:
            return
        source, target = self.random.choice(sorted(self.folders)), f"m{self.count}/"
        changes = {source: None, target: []}
        for path in self.inside(source):
            changes[path] = None
            changes[target + path[len(source) :]] = self.files[path]
        self.change("rename", changes, lambda: os.rename(self.real(source), self.real(target)))

    def remove_folder(self):
        if not self.folders:
            return
        folder = self.random.choice(sorted(self.folders))
        for path in self.inside(folder):
            self.unlink(path)
        self.change("rmdir", {folder: None}, lambda: os.rmdir(self.real(folder)))

    def run(self):
        weights = {
            self.write: 8, self.append: 4, self.patch: 3, self.rename: 4, self.save: 6,
            self.unlink: 3, self.mkdir: 2, self.move_folder: 1, self.remove_folder: 1,
        }  # fmt: skip
        try:
            while not STOP.is_set():
                try:
                    self.random.choices(list(weights), list(weights.values()))[0]()
                except Failed:
                    pass
                if self.random.random() < 0.5:
                    time.sleep(self.random.random() * self.pause / 1000)
        except OSError as error:
            say(worker=self.number, n=self.count, errno=errno.errorcode.get(error.errno, str(error.errno)))


def main():
    root, workers, seed, pause = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    signal.signal(signal.SIGTERM, lambda *_: STOP.set())
    goes_on = sys.argv[5:] == ["go-on"]
    threads = [threading.Thread(target=Worker(root, n, seed, pause, goes_on).run) for n in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


main()
