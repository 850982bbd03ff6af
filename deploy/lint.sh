#!/usr/bin/env bash
# lint.sh [chart]: checks what operators start from with the tools that read it: HAProxy, systemd and Compose. With `chart` the Helm
# chart, too: helm's own lint, and every manifest is decoded strictly as Kubernetes does. That takes Go, which compiles for minutes
# when it is run for the first time.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=deploy/dev/env.sh
. dev/env.sh
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# As it is, behind Compose, and with TLS.
lint_haproxy() {
    openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=s3.example.com -days 1 -keyout "$scratch/key" -out "$scratch/cert" 2>/dev/null
    cat "$scratch/cert" "$scratch/key" >"$scratch/cairn.pem"
    sed "s|# bind :443 ssl crt /etc/haproxy/|bind :443 ssl crt $scratch/|" haproxy/haproxy.cfg >"$scratch/tls.cfg"
    grep -q "^ *bind :443 ssl crt $scratch/" "$scratch/tls.cfg"
    haproxy -c -q -f haproxy/haproxy.cfg -f haproxy/gateways.cfg
    haproxy -c -q -f "$scratch/tls.cfg" -f haproxy/gateways.cfg
    haproxy -c -q -f haproxy/haproxy.cfg -f compose/gateways.cfg
}

# The binary need not be installed here. Exposure is from 0 to 100.
lint_systemd() {
    local said
    sed 's|=/usr/bin/cairn |=/bin/true |' systemd/cairn.service >"$scratch/cairn.service"
    said=$(systemd-analyze verify --man=no "$scratch/cairn.service" 2>&1) || { echo "$said" >&2 && return 1; }
    [ -z "$said" ] || { echo "systemd-analyze verify: $said" >&2 && return 1; }
    systemd-analyze security --offline=true --threshold=15 "$scratch/cairn.service" >"$scratch/security" ||
        { grep -v "^✓" "$scratch/security" >&2 && return 1; }
    systemd-sysusers --dry-run "$PWD/systemd/sysusers.d/cairn.conf" >"$scratch/users" 2>&1 || { cat "$scratch/users" >&2 && return 1; }
}

lint_compose() { docker-compose -f compose/compose.yaml config --quiet; }

# settled.sh passes over what the server says in these words.
lint_words() {
    local words="nodes run different versions"
    grep -q "startswith(\"$words\")" image/settled.sh && grep -qr "\"$words" ../server/src/region/report
}

# The chart as it is, and with values that take its other ways.
lint_chart() {
    local values
    go_run() { (cd helm/check && GOTOOLCHAIN=local GOMODCACHE=$CAIRN_GO_CACHE/mod GOCACHE=${GOCACHE:-$CAIRN_GO_CACHE/build} GOFLAGS=-modcacherw \
        go "$@"); }
    go_run build -o "$scratch/check" .
    go_run build -o "$scratch/helm" helm.sh/helm/v3/cmd/helm
    "$scratch/helm" lint --strict --kube-version 1.30.0 helm/cairn
    for values in "" "nodesPerZone=2,placeByZone=false,keysSecret=keys,disks.storageClass=local,index.storageClass=fast,profile=5+4" \
        "zones={a,b,c,d,e,f},imagePullSecrets[0].name=x,priorityClassName=high,nodeSelector.disk=yes,service.annotations.a=b"; do
        "$scratch/helm" template cairn helm/cairn --namespace storage --kube-version 1.30.0 --set "$values" >"$scratch/manifests"
        "$scratch/check" <"$scratch/manifests"
    done
    # What must be refused.
    for values in "settings.listen=x" "zones={a,a,b}" "resources.limits.memory=2G"; do
        if "$scratch/helm" template cairn helm/cairn --kube-version 1.30.0 --set "$values" >/dev/null 2>&1; then
            echo "the chart takes $values" >&2
            return 1
        fi
    done
    if sed 's/podManagementPolicy/podManagementPolice/' "$scratch/manifests" | "$scratch/check" >/dev/null 2>&1; then
        echo "check takes a field that Kubernetes does not know" >&2
        return 1
    fi
}

lint_haproxy
lint_systemd
lint_compose
lint_words
[ "${1:-}" != chart ] || lint_chart
