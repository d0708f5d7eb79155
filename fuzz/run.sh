#!/usr/bin/env bash
# Fuzzes every target for a while, beginning with its corpus: fuzz/run.sh [SECONDS EACH] [TARGET…]
#
# What a run finds worth keeping stays in target/fuzz/corpus; what fails is printed, kept in target/fuzz/failures, and
# ends the script with 1. Replay it with: target/debug/TARGET FILE.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-20}
shift || true
if [ $# -gt 0 ]; then targets=("$@"); else targets=(engineio socketio native envelope text); fi

# With the workspace's features, so that no dependency is built again; and none of its other programs, which would lack
# the fuzzer's part of the instrumentation.
RUSTC_WORKSPACE_WRAPPER=$PWD/fuzz/instrument cargo build --locked --workspace "${targets[@]/#/--bin=}"
mkdir -p target/fuzz/failures
for target in "${targets[@]}"; do
    mkdir -p "target/fuzz/corpus/$target"
    printf '\n== %s, %s s\n' "$target" "$seconds"
    "target/debug/$target" "target/fuzz/corpus/$target" "fuzz/corpus/$target" -max_total_time="$seconds" -timeout=10 \
        -rss_limit_mb=1024 -max_len=65536 -artifact_prefix="target/fuzz/failures/$target-" -print_final_stats=1 \
        2>&1 | tee "target/fuzz/$target.log" | grep -E 'ERROR|panicked|stat::number_of_executed_units|stat::new_units' || true
    # An uninstrumented program runs as well, and finds nothing: that is no pass.
    grep -q 'inline 8-bit counters' "target/fuzz/$target.log"
    grep -q '^stat::number_of_executed_units' "target/fuzz/$target.log"
    if grep -qE 'ERROR: libFuzzer|panicked at' "target/fuzz/$target.log"; then
        tail -n 30 "target/fuzz/$target.log"
        exit 1
    fi
done
