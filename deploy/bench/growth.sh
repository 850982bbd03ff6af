#!/usr/bin/env bash
# growth.sh: fills a server of its own step by step with `cairn bench growth`, and writes what each size costs into
# deploy/growth.
#
# CAIRN            the binary to be measured; the release build of this clone if it is not set
# GROWTH_OBJECTS   objects of 4 KiB at each step, as in "1000000 5000000"
# BENCH_DATA       a directory on the disk to be filled; one below the clone, deleted at the end, if it is not set
# GROWTH_RESULTS   where the table and the picture go (deploy/growth)
set -euo pipefail
# shellcheck source=deploy/bench/binary.sh
. "$(dirname "${BASH_SOURCE[0]}")/binary.sh"

objects=${GROWTH_OBJECTS:-1000000 5000000}
"$copy" bench growth --data "$data" --objects "${objects// /,}" --results "${GROWTH_RESULTS:-deploy/growth}"
