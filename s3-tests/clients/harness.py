"""The server that the tests talk to, what they send, and how client programs are run."""

import os
import random
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

ACCESS_KEY = "AKTESTROOT"
SECRET_KEY = "test-root-secret-key"
REGION = "us-east-1"
REGION_ALIAS = "external"
DOMAIN = "s3.test"

KIB, MIB = 1 << 10, 1 << 20
# Both sides of the limits between inline, small and striped objects, and of the clients' own limits
# between one PUT and an upload of parts.
SIZES = [0, 1, 16 * KIB, 16 * KIB + 1, 128 * KIB + 1, MIB, 5 * MIB, 8 * MIB - 1, 20 * MIB]
LARGE = 200 * MIB

READY_S = 60
COMMAND_S = 600


def content(size):
    """Bytes that follow from the size alone."""
    return random.Random(size).randbytes(size)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """The binary `CAIRN_BIN` on disks and ports of its own; `options` are further words of its command line."""

    def __init__(self, root: Path, options=(), disks=6):
        self.root = root
        self.options = options
        self.disks = [root / f"disk{n}" for n in range(1, disks + 1)]
        self.listen, self.admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
        self.endpoint = f"http://{self.listen}"
        self.process = None

    def start(self):
        words = [
            os.environ["CAIRN_BIN"],
            "server",
            f"--data={','.join(map(str, self.disks))}",
            f"--index-dir={self.root / 'index'}",
            f"--listen={self.listen}",
            f"--admin-listen={self.admin}",
            f"--region-aliases={REGION_ALIAS}",
            f"--domains={DOMAIN}",
            *self.options,
        ]
        keys = {"CAIRN_ROOT_ACCESS_KEY": ACCESS_KEY, "CAIRN_ROOT_SECRET_KEY": SECRET_KEY}
        self.root.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                words, env=os.environ | keys, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.wait_until_ready()

    @property
    def log(self):
        return self.root / "server.log"

    def wait_until_ready(self):
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"http://{self.admin}/health/ready", timeout=5).close()
                return
            except OSError:
                time.sleep(0.05)
        self.kill()
        raise AssertionError(f"the server did not get ready:\n{self.log.read_text()[-4000:]}")

    def stop(self):
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.process.wait(60)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Programs:
    """Runs client programs, none of which sees the settings of whoever runs the tests."""

    def __init__(self, home: Path):
        home.mkdir()
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
            "PYTHONWARNINGS": "ignore",
        }

    def run(self, *words, fails=False, environment=None, stdin=b""):
        """Standard output; of a command that must fail, standard error. Both as bytes."""
        done = self.complete(words, environment, stdin)
        told = f"{words}: exit {done.returncode}\n{done.stderr.decode()[-4000:]}"
        assert (done.returncode != 0) == fails, f"{told}\n{done.stdout[-1000:]!r}"
        return done.stderr if fails else done.stdout

    def outcome(self, *words, environment=None, folder=None):
        """The exit status, and all output as text, of a test runner that says itself what failed."""
        done = self.complete(words, environment, folder=folder)
        return done.returncode, done.stdout.decode() + done.stderr.decode()

    def complete(self, words, environment=None, stdin=b"", folder=None):
        return subprocess.run(
            [str(word) for word in words],
            cwd=folder,
            env=self.environment | (environment or {}),
            input=stdin,
            capture_output=True,
            timeout=COMMAND_S,
        )


def write_tree(folder: Path, files):
    """Writes {relative name: bytes}."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def read_tree(folder: Path):
    """{relative name: bytes} of every file."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def same(left, right):
    """Whether two trees or two bodies are equal. (An assert on them would print megabytes.)"""
    return left == right
