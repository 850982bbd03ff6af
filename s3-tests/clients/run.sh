#!/usr/bin/env bash
# run.sh [short|all]: exchanges with real S3 clients. Starts a server on six disks and free ports, prints
# `ok` or `FAILED` for each test and a closing line `N passed, N failed`, and fails if a test does.
#
#   short   clients with their default settings, up to 20 MiB; what `make test` runs
#   all     also objects of 200 MiB, an upload of 200 parts, and the suites that take minutes
#
# CAIRN_BIN     the server's binary; if it is not set, the debug binary is built and used
# PYTEST_ARGS   further arguments of pytest, such as `-k rclone -x`
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=deploy/dev/env.sh
. ../../deploy/dev/env.sh

large=()
case "${1:-short}" in
short) ;;
all) large=(--all) ;;
*)
    echo "usage: run.sh [short|all]" >&2
    exit 2
    ;;
esac
python=$CAIRN_PYTHON_VENV/bin/python
for made in "$python" "$CAIRN_OTHERS_VENV/complete" "$CAIRN_JS_MODULES/complete" "$CAIRN_GO_CACHE"; do
    [ -e "$made" ] || {
        echo "run.sh: clients are missing: run deploy/dev/deps.sh clients" >&2
        exit 1
    }
done

# All of the workspace is named, so that cargo takes the features, and thus the build, of `make test`.
build=(--test aws_sdk --test object_store)
[ -n "${CAIRN_BIN:-}" ] || build+=(--bin cairn)
cargo build --quiet --workspace --locked "${build[@]}"
export CAIRN_BIN=${CAIRN_BIN:-$CARGO_TARGET_DIR/debug/cairn}

CAIRN_CLIENTS_WORK=$(mktemp -d "${TMPDIR:-/tmp}/cairn-clients.XXXXXX")
export CAIRN_CLIENTS_WORK
status=0
read -ra more <<<"${PYTEST_ARGS:-}"
"$python" -B -m pytest -p no:cacheprovider -v --no-header --tb=short -o console_output_style=classic \
    -o tmp_path_retention_policy=none --basetemp "$CAIRN_CLIENTS_WORK/tests" \
    "${large[@]}" "${more[@]}" || status=$?
if [ "$status" -eq 0 ]; then
    rm -rf "$CAIRN_CLIENTS_WORK"
else
    find "$CAIRN_CLIENTS_WORK" -type f ! -name '*.log' -delete
    echo "run.sh: the server's logs are in $CAIRN_CLIENTS_WORK" >&2
fi
exit "$status"
