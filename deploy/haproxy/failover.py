"""Measures what clients of a region notice behind HAProxy when one node goes away and comes back.

failover.py ENDPOINT KEY_FILE PID_OF_A_NODE SIGNAL: SIGNAL is KILL, TERM or STOP. It prints one line of a Markdown table, and
ends with 1 where a request failed after the SDK's own retries, or an object was not read back as it was written.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import boto3
from boto3.s3.transfer import TransferConfig

BUCKET = "failover"
BEFORE_S = 8
GONE_S = 15
BACK_S = 12
MIB = 1 << 20


class Load:
    """Clients that write and read until told to stop, each with keys of its own."""

    def __init__(self, client):
        self.client = client
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.done = []  # (kind, began_s, ended_s, retries)
        self.failed = []
        self.written = {}

    def run(self, kind, number, size, put, get):
        body_seed = os.urandom(size)
        for count in range(1 << 30):
            if self.stop.is_set():
                return
            key = f"{kind}-{number}-{count % 20}"
            body = count.to_bytes(8, "big") + body_seed[8:]
            self.timed(f"PUT {kind}", lambda: put(key, body), key, body)
            self.timed(f"GET {kind}", lambda: get(key, body), key, None)

    def timed(self, kind, operation, key, body):
        began_s = time.monotonic()
        try:
            retries = operation()
        except Exception as error:  # what the SDK gave up on
            with self.lock:
                self.failed.append((kind, time.monotonic() - began_s, repr(error)))
                self.written.pop(key, None)
            return
        with self.lock:
            self.done.append((kind, began_s, time.monotonic(), retries))
            if body is not None:
                self.written[key] = hashlib.sha256(body).hexdigest()

    def put(self, key, body):
        answer = self.client.put_object(Bucket=BUCKET, Key=key, Body=body)
        return answer["ResponseMetadata"]["RetryAttempts"]

    def get(self, key, body):
        if key not in self.written:
            return 0
        # A body that breaks off is no answer that an SDK repeats: its reader asks again.
        for attempt in range(5):
            try:
                answer = self.client.get_object(Bucket=BUCKET, Key=key)
                read = answer["Body"].read()
                break
            except Exception:
                if attempt == 4:
                    raise
        if read != body:
            raise ValueError(f"{key} was not read as it was written")
        return attempt + answer["ResponseMetadata"]["RetryAttempts"]

    def put_parts(self, key, body):
        config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=4)
        path = f"/dev/shm/{os.getpid()}-{key}"
        with open(path, "wb") as file:
            file.write(body)
        try:
            self.client.upload_file(path, BUCKET, key, Config=config)
        finally:
            os.unlink(path)
        return 0


def command_line(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return [word.decode() for word in file.read().split(b"\0") if word]


def leave_and_return(pid, name):
    """The node is gone for a while. Returns when it went, and its process where that is a new one."""
    words = command_line(pid)
    time.sleep(BEFORE_S)
    gone_s = time.monotonic()
    os.kill(pid, getattr(signal, f"SIG{name}"))
    time.sleep(GONE_S)
    again = None
    if name == "STOP":
        os.kill(pid, signal.SIGCONT)
    else:
        again = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(BACK_S)
    return gone_s, again


def longest_gap_s(ends, after_s):
    ends = sorted(end for end in ends if end >= after_s - 1)
    return max((b - a for a, b in zip(ends, ends[1:])), default=float("inf"))


def main():
    endpoint, key_file, pid, name = sys.argv[1:]
    with open(key_file) as file:
        keys = json.load(file)
    # Everything else is as the SDK has it by default.
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=keys["access_key"],
        aws_secret_access_key=keys["secret_key"],
    )
    client.create_bucket(Bucket=BUCKET)
    load = Load(client)
    kinds = [("4KiB", 4096, load.put, 6), ("16MiB", 16 * MIB, load.put, 1), ("20MiB-in-parts", 20 * MIB, load.put_parts, 1)]
    threads = [
        threading.Thread(target=load.run, args=(kind, number, size, put, load.get))
        for kind, size, put, count in kinds
        for number in range(count)
    ]
    for thread in threads:
        thread.start()
    gone_s, again = leave_and_return(int(pid), name)
    load.stop.set()
    for thread in threads:
        thread.join()
    lost = [key for key, digest in load.written.items() if read_digest(client, key) != digest]
    if again:
        again.terminate()
        again.wait()
    gap_s = longest_gap_s((end for kind, _, end, _ in load.done if "4KiB" in kind), gone_s)
    slowest = {kind: max(end - began for k, began, end, _ in load.done if k == kind) for kind in sorted({d[0] for d in load.done})}
    retried = sum(1 for done in load.done if done[3])
    print(f"| {name} | {len(load.done)} | {gap_s:.2f} s | {max(slowest.values()):.1f} s | {retried} | {len(load.failed)} | {len(lost)} |")
    print(json.dumps(slowest), load.failed, lost, file=sys.stderr)
    sys.exit(1 if load.failed or lost else 0)


def read_digest(client, key):
    return hashlib.sha256(client.get_object(Bucket=BUCKET, Key=key)["Body"].read()).hexdigest()


main()
