#!/usr/bin/env bash
# Looks for an input for which something does not hold that must hold for all (see README.md):
#
#   tests/fuzz/run.sh [seconds per target] [target]...
#
# Needs a C++ compiler, for libFuzzer, and no nightly: coverage is LLVM's, and asked for with
# stable flags. What is found stays in target/fuzz, what breaks something in target/fuzz/broken.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-60}
targets=("${@:2}")
if [ ${#targets[@]} -eq 0 ]; then
  for target in src/bin/*.rs; do targets+=("$(basename "$target" .rs)"); done
fi

# The host is named so that the flags hold for the code under test and not for build scripts.
host=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/../../target}/fuzz
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares"
cargo build --release --locked --target "$host"

for target in "${targets[@]}"; do
  found=$CARGO_TARGET_DIR/corpus/$target broken=$CARGO_TARGET_DIR/broken/$target
  mkdir -p "$found" "$broken"
  printf '\n%s, %s s\n' "$target" "$seconds"
  log=$broken/log
  if ! "$CARGO_TARGET_DIR/$host/release/$target" -max_total_time="$seconds" -max_len=8192 \
    -timeout=10 -rss_limit_mb=1024 -dict=stratum.dict -artifact_prefix="$broken/" \
    -print_final_stats=1 "$found" "corpus/$target" >"$log" 2>&1; then
    tail -n 40 "$log"
    echo "$target broke. Once mended, its input belongs into tests/fuzz/corpus/$target."
    exit 1
  fi
  grep -E 'INITED|DONE|stat::number_of_executed_units' "$log"
done
