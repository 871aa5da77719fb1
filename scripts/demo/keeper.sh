#!/usr/bin/env bash
# The process whose life a kept demo has: the guard (scripts/lib/reap.sh) clears everything away when this one ends. It ends with
# the demo, unless the demo has handed over to it by SIGUSR1. Usage: keeper.sh DEMO_PID DEMO_START_TIME
set -u
handed_over=0
trap 'handed_over=1' USR1
exec {NAP}<> <(:)
nap() { read -rt "$1" -u "$NAP" || :; }

is_there() {
  local line fields
  { IFS= read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
  read -ra fields <<<"${line##*) }"
  [[ ${fields[0]} != Z && ${fields[19]} == "$2" ]]
}

while is_there "$1" "$2"; do nap 0.3; done
while ((handed_over)); do nap 3600; done
