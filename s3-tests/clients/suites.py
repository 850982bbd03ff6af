"""Tests written in the language of the SDK that they test: each suite is run once, by its own runner, and
each of its tests is a test here. deploy/dev/deps.sh has fetched what they need: nothing is fetched here."""

import json
import os
import re
import xml.etree.ElementTree as xml
from pathlib import Path

from harness import Programs

HERE = Path(__file__).parent
# As in deploy/dev/deps.sh, which has filled it.
GO_CACHE = Path(os.environ["CAIRN_GO_CACHE"])
GO = {
    "GOCACHE": str(GO_CACHE / "build"),
    "GOMODCACHE": str(GO_CACHE / "mod"),
    "GOFLAGS": "-mod=readonly -modcacherw -buildvcs=false",
    "GOPROXY": "off",
    "GOTOOLCHAIN": "local",
}


def names(pattern, paths):
    """The names of the tests, as the sources have them."""
    found = [name for path in sorted(paths) for name in re.findall(pattern, path.read_text(), re.M)]
    assert found, f"no tests in {paths}"
    return found


class Suite:
    """The results of one run, as {name: what it said if it failed, or None}."""

    def __init__(self, results, output):
        self.results, self.output = results, output

    def check(self, name):
        assert name in self.results, f"{name} did not run:\n{self.output[-6000:]}"
        assert self.results[name] is None, self.results[name]


def environment(server, tls, certificate):
    return {
        "CAIRN_ENDPOINT": server.endpoint,
        "CAIRN_TLS_ENDPOINT": tls.endpoint,
        "CAIRN_CERTIFICATE": str(certificate[0]),
    }


def of_go(programs: Programs, settings):
    """`go test` of go/."""
    folder = HERE / "go"
    settings |= GO | {"SSL_CERT_FILE": settings["CAIRN_CERTIFICATE"]}
    status, output = programs.outcome("go", "test", "-C", folder, "-count=1", "-json", ".", environment=settings)
    said, results = {}, {}
    for line in filter(lambda line: line.startswith("{"), output.splitlines()):
        event = json.loads(line)
        name = event.get("Test", "")
        if event["Action"] == "output":
            said[name] = said.get(name, "") + event["Output"]
        elif event["Action"] in ("fail", "skip"):
            results[name] = said[name]
        elif event["Action"] == "pass":
            results[name] = None
    return Suite(results, f"exit {status}\n{output}")


def of_junit(report: Path, output):
    """The results in a JUnit report."""
    results = {}
    for case in xml.parse(report).iter("testcase") if report.exists() else []:
        faults = [child for child in case if child.tag in ("failure", "error", "skipped")]
        name = re.sub(r"\(\w*\)$", "", case.get("name"))  # JUnit adds the parameters
        results[name] = f"{faults[0].get('message')}\n{faults[0].text}" if faults else None
    return Suite(results, output)


def of_js(programs: Programs, settings, work: Path):
    """Node's test runner on js/. Node looks for packages beside the sources, so those are copied."""
    folder = work / "js"
    folder.mkdir()
    for source in (HERE / "js").glob("*.mjs"):
        (folder / source.name).write_bytes(source.read_bytes())
    (folder / "node_modules").symlink_to(Path(os.environ["CAIRN_JS_MODULES"]) / "node_modules")
    settings |= {"NODE_EXTRA_CA_CERTS": settings["CAIRN_CERTIFICATE"]}
    report = folder / "report.xml"
    words = ["--test", "--test-reporter=junit", f"--test-reporter-destination={report}"]
    status, output = programs.outcome("node", *words, *sorted(folder.glob("*.test.mjs")), environment=settings)
    return of_junit(report, f"exit {status}\n{output}")


def of_others(programs: Programs, settings, work: Path, files):
    """pytest on some files of others/, in the Python environment of those clients."""
    folder = HERE / "others"
    report = work / f"{files[0]}.xml"
    words = ["-B", "-m", "pytest", "-p", "no:cacheprovider", "-c", folder / "pytest.ini", f"--junitxml={report}"]
    words += [f"--rootdir={folder}", f"--basetemp={work / 'others'}", *(folder / name for name in files)]
    venv = Path(os.environ["CAIRN_OTHERS_VENV"])
    settings |= {"CAIRN_MINIO_PY": str(venv / "minio-py")}
    status, output = programs.outcome(venv / "bin/python", *words, environment=settings)
    return of_junit(report, f"exit {status}\n{output}")


def left_out(path: Path):
    """The lines of a list of tests that are not expected to pass: {name: why}."""
    lines = path.read_text().splitlines()
    return dict(line.split("\t") for line in lines if not line.startswith("#"))


def of_java(programs: Programs, settings, work: Path):
    """JUnit on java/, compiled here."""
    folder = work / "java"
    libraries = f"{os.environ['CAIRN_JAVA_LIBRARIES']}/*"
    status, output = programs.outcome("javac", "-cp", libraries, "-d", folder, *(HERE / "java").glob("*.java"))
    assert status == 0, output
    words = ["org.junit.platform.console.ConsoleLauncher", "execute", f"--scan-classpath={folder}"]
    words += [f"--reports-dir={folder}", "--details=summary", "--disable-banner"]
    status, output = programs.outcome("java", "-cp", f"{libraries}:{folder}", *words, environment=settings)
    return of_junit(folder / "TEST-junit-jupiter.xml", f"exit {status}\n{output}")
