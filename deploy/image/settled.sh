#!/usr/bin/env bash
# Whether the region is whole: nothing waits for repair and nothing needs attention, so that the next node may be taken away. That nodes
# run different versions is so for as long as an upgrade takes, and does not count.
# CAIRN_NODE_DIR is the directory of a node that runs.
set -euo pipefail
cairn admin status --json | jq -e '.tasks.waiting_repairs == 0 and .tasks.returned_disks == []
    and all(.attention[]; startswith("nodes run different versions"))' >/dev/null
