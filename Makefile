# `make test` on a fresh Debian 12 machine with Rust is all it takes; see CONTRIBUTING.md.

export PATH := $(CURDIR)/.tools/bin:$(PATH)
CARGO ?= cargo

.PHONY: help run demo tools ops-tools test check fuzz ops ops-live rules advisories cluster bench clean

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

run: ## One gateway on the embedded store: http://127.0.0.1:3000
	$(CARGO) run --release --locked

demo: tools ## A cluster that is broken while messages are sent, and the books: lost 0. About a minute
	$(CARGO) build --release --locked --workspace --bins
	deploy/local/demo.sh target/release

tools: ## Install what is missing on this machine; the only step that uses the network
	deploy/local/tools.sh

ops-tools: ## The same, and what `make ops` needs
	deploy/local/tools.sh ops

# Three commands, so that the run closes with the counts of the integration tests and not of an empty suite.
test: tools ## Every test, with real Redis, MongoDB, Socket.IO client and browser
	$(CARGO) test --workspace --locked --doc
	$(CARGO) test --workspace --locked --lib --bins
	$(CARGO) test --workspace --locked --test '*'

check: tools ## Format, lints, documentation, shell scripts, licences and sources
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked
	shellcheck .ci/run loadtest/compare loadtest/measure-all deploy/local/leash deploy/*/*.sh deploy/check/stand-in-cargo fuzz/run.sh fuzz/instrument
	$(CARGO) deny --locked check bans licenses sources

fuzz: tools ## What reads strangers' bytes, under libFuzzer: SECONDS=10 for each target
	fuzz/run.sh $(or $(SECONDS),10)

ops: ops-tools ## deploy/ and k8s/ against the tools that will read them, the images built and run
	$(CARGO) build --workspace --bins --locked
	deploy/check/run.sh

ops-live: ops-tools ## Behind HAProxy: restarts and a kill under load, an alert, a backup and its restore
	$(CARGO) build --workspace --bins --locked
	.tools/python/bin/python deploy/check/live.py target/debug
	.tools/python/bin/python deploy/check/restore.py target/debug

rules: ## Copy the alerts of deploy/prometheus into k8s/
	deploy/check/copy_rules.py

advisories: ## Known vulnerabilities among the dependencies (asks the RustSec database)
	$(CARGO) deny --locked check advisories

cluster: tools ## Redis, MongoDB, three gateways, HAProxy, Prometheus until Ctrl-C; MEMBERS=3 for elections
	deploy/local/cluster.sh

bench: ## Micro-benchmarks; loadtest/ measures the whole system
	$(CARGO) bench --workspace --locked

clean: ## Remove what was built, keep the tools
	$(CARGO) clean
	rm -rf .local
