#!/usr/bin/env bash
# Checks every shell script of the repository.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mapfile -t scripts < <(find . -name '*.sh' -not -path './.git/*' -not -path '*/target/*' -not -path './data/*')
shellcheck --external-sources "${scripts[@]}" .ci/run
