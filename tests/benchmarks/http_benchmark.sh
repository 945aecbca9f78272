#!/usr/bin/env bash
# tests/benchmarks/http_benchmark.sh [--rounds N] [--seconds N] [--connections N]
#
# What the guard costs an HTTP server, and what it gives against Node: requests a second of POST /payments, by wrk, on
# this machine. All servers run at once and are asked in turns, so that a busy machine is busy for all; ratios are taken
# round by round, and their medians are printed with the lowest and the highest.
#
#   none, memory, file   http_benchmark_server (build/release): without a guard, and with one over each store
#   node                 Node's own http, without anything
#   core                 the same with @node-idempotency/core and its memory storage
#   express              express with express-idempotency and its own storage
#
# Needs wrk, node and npm, and the program: cmake --preset release && cmake --build --preset release --target http_benchmark_server
set -euo pipefail
cd "$(dirname "$0")/../.."
stop() { printf 'http_benchmark.sh: %s\n' "$*" >&2; exit 2; }
rounds=5 seconds=3 connections=32
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || stop "$1 needs a number"
  case $1 in
    --rounds) rounds=$2 ;;
    --seconds) seconds=$2 ;;
    --connections) connections=$2 ;;
    *) stop "what is \"$1\"? There are --rounds, --seconds and --connections" ;;
  esac
  shift 2
done
program=$PWD/build/release/tests/benchmarks/http_benchmark_server
[ -x "$program" ] || stop "$program is not there: cmake --preset release && cmake --build --preset release --target http_benchmark_server"
for command in wrk node npm; do command -v "$command" >/dev/null || stop "$command is missing: apt-get install $command"; done
here=$PWD/tests/benchmarks/http
modules=$PWD/build/http_benchmark
mkdir -p "$modules"
cp "$here/package.json" "$here/package-lock.json" "$modules"
[ -d "$modules/node_modules" ] || (cd "$modules" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error)

work=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait; rm -rf "$work"' EXIT
start() {  # start <name> <command>...
  local name=$1
  shift
  "$@" >"$work/$name.port" &
  pids+=($!)
  for ((tries = 0; tries < 100; ++tries)); do [ -s "$work/$name.port" ] && return; sleep 0.1; done
  stop "$name does not start"
}
servers="none memory file node core express"
start none "$program" none
start memory "$program" memory
start file "$program" "file:$work/store"
start node node "$here/peer.cjs" http "$modules"
start core node "$here/peer.cjs" core "$modules"
start express node "$here/peer.cjs" express "$modules"

for ((round = 0; round <= rounds; ++round)); do  # the first one warms up
  for load in replays payments; do
    for server in $servers; do
      rate=$(wrk -t 1 -c "$connections" -d "$seconds" -s "$here/$load.lua" \
        "http://127.0.0.1:$(cat "$work/$server.port")/payments" | tee "$work/last" | awk '/Requests\/sec/ { print $2 }')
      [ -n "$rate" ] || { cat "$work/last"; stop "$server does not answer"; }
      [ "$round" -eq 0 ] || echo "$load $server $rate" >>"$work/rates"
    done
  done
done

awk -v connections="$connections" '
  { count[$1, $2]++; rate[$1, $2, count[$1, $2]] = $3 }
  function row(load, a, b,    n, i, j, value, sorted, middle) {
    n = count[load, a]
    for (i = 1; i <= n; ++i) sorted[i] = rate[load, a, i] / rate[load, b, i]
    for (i = 2; i <= n; ++i) for (j = i; j > 1 && sorted[j] < sorted[j - 1]; --j) {
      value = sorted[j]; sorted[j] = sorted[j - 1]; sorted[j - 1] = value
    }
    middle = rate_of(load, a)
    printf "%-9s %-8s %9.0f/s  %6.2f x %-8s (%.2f to %.2f)\n", load, a, middle, sorted[int((n + 1) / 2)], b, sorted[1], sorted[n]
  }
  function rate_of(load, a,    n, i, j, value, sorted) {
    n = count[load, a]
    for (i = 1; i <= n; ++i) sorted[i] = rate[load, a, i]
    for (i = 2; i <= n; ++i) for (j = i; j > 1 && sorted[j] < sorted[j - 1]; --j) {
      value = sorted[j]; sorted[j] = sorted[j - 1]; sorted[j - 1] = value
    }
    return sorted[int((n + 1) / 2)]
  }
  END {
    printf "%d connections; medians of %d rounds\n", connections, count["replays", "none"]
    split("replays payments", loads)
    for (l = 1; l <= 2; ++l) {
      row(loads[l], "memory", "none"); row(loads[l], "file", "none")
      row(loads[l], "memory", "node"); row(loads[l], "memory", "core"); row(loads[l], "file", "core")
      row(loads[l], "memory", "express"); row(loads[l], "file", "express")
    }
  }' "$work/rates"
