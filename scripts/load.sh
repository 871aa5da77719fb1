#!/usr/bin/env bash
# Puts a control plane of its own under the load of simulated nodes. See --help and docs/load.md.
set -euo pipefail
PROJECT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
cd -- "$PROJECT"

((EUID == 0)) || { printf 'load.sh: must run as root\n' >&2; exit 1; }
# A connection to each node, at both ends.
ulimit -n 262144 2>/dev/null || ulimit -n "$(ulimit -Hn)"
# One process from here on, so that whoever kills this one has ended the load. The cache of tsx would outlive it.
TSX_DISABLE_CACHE=1 exec node --import tsx bench/load/main.ts "$@"
