#!/usr/bin/env bash
# tests/benchmarks/compile_time.sh [<compiler>]
#
# What including the library costs: user CPU at -O2, medians of five, taken in turns so that a busy machine is
# busy for all. The compiler is g++ unless given.
#
#   standard headers   those that the headers of the core include, and nothing else
#   one execute        the umbrella header, a guard over MemoryStore and one call
#   extern template    the same where the application instantiates its guard in one place
#   further calls      eleven calls with a callable each, against one
set -euo pipefail
cd "$(dirname "$0")/../.."
compiler=${1:-g++}
command -v "$compiler" >/dev/null || { echo "compile_time.sh: no compiler named $compiler" >&2; exit 2; }
include=$PWD/include
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export CCACHE_DISABLE=1 LC_ALL=C
flags=(-std=c++20 -O2 -I "$include")

calls() {  # calls <number>: a function with a call each
  for ((i = 0; i < $1; ++i)); do
    cat <<CALL
bool call_$i(paidonce::IdempotencyGuard<paidonce::MemoryStore>& guard, const paidonce::IdempotencyKey& key,
             const paidonce::Fingerprint& request, const std::string& reply) {
  return guard.execute(key, request, [&](paidonce::Attempt&) -> paidonce::PaymentResult<std::string> {
    if (reply.size() == $i) return paidonce::declined(reply);
    return paidonce::succeeded(reply);
  }).succeeded();
}
CALL
  done
}
external='extern template class paidonce::IdempotencyGuard<paidonce::MemoryStore>;'

echo '#include <paidonce/paidonce.hpp>' >umbrella.cpp
"$compiler" "${flags[@]}" -MM umbrella.cpp | tr ' \\' '\n\n' | grep '^/' | xargs grep -hoE '^#include <[a-z_]+>' |
  sort -u >standard.cpp
{ cat umbrella.cpp; calls 1; } >one.cpp
{ cat umbrella.cpp; echo "$external"; calls 1; } >extern.cpp
{ cat umbrella.cpp; echo "$external"; calls 11; } >eleven.cpp

TIMEFORMAT=%U
for repetition in 1 2 3 4 5; do
  for what in standard one extern eleven; do
    { time "$compiler" "${flags[@]}" -c $what.cpp -o $what.o 2>$what.errors; } 2>>$what.times ||
      { cat $what.errors >&2; exit 1; }
  done
done
median() { sort -n "$1.times" | sed -n 3p; }
code() { size -A "$1.o" | awk '$1 ~ /^\.text/ { sum += $2 } END { print sum + 0 }'; }

awk -v compiler="$compiler" -v standard="$(median standard)" -v one="$(median one)" -v external="$(median extern)" \
  -v eleven="$(median eleven)" -v code1="$(code extern)" -v code11="$(code eleven)" '
  function row(what, figure, goal, unit) {
    printf "%-58s %8.2f %-5s goal <= %-5s %s\n", what, figure, unit, goal, figure <= goal ? "met" : "NOT MET"
  }
  BEGIN {
    printf "%s -O2, user CPU: standard headers %.2f s, one execute %.2f s, with extern template %.2f s\n",
           compiler, standard, one, external
    row("one execute against the standard headers", one / standard, 2.5, "x")
    row("the same with extern template", external / standard, 1.5, "x")
    row("each further execute with another callable", (eleven - external) * 1000 / 10, 35, "ms")
    row("code of each", (code11 - code1) / 10, 1024, "bytes")
  }'
