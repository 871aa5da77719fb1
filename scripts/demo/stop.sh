#!/usr/bin/env bash
# Ends kept demos: kills their keepers, and waits until the guards have cleared everything away. Usage: stop.sh PROJECT [DIR]
set -euo pipefail
PROJECT=$1 ONLY=${2-}
found=0 failed=0
[[ -z $ONLY ]] || ONLY=$(realpath -m -- "$ONLY")

# Field 22 of /proc/PID/stat, counted after the name: with the pid it names a process for good.
start_time() {
  local line fields
  { IFS= read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
  read -ra fields <<<"${line##*) }"
  printf '%s' "${fields[19]}"
}

stop() {
  local dir=$1 pid=$2 start=$3 i
  [[ $(start_time "$pid") != "$start" ]] || kill -KILL -- "$pid" 2>/dev/null || :
  for ((i = 0; i < 100 && i >= 0; i++)); do
    [[ -d $dir ]] || { printf 'stopped %s\n' "$dir"; return 0; }
    # Its guard should be at work; where it was killed too, this does the same.
    ((i != 50)) || bash "$PROJECT/scripts/lib/reap.sh" 0 0 "$dir/guard.list" || :
    sleep 0.2
  done
  printf 'demo.sh: %s is still there\n' "$dir" >&2
  return 1
}

if [[ -n $ONLY ]]; then files=("$ONLY/demo.state"); else files=("${TMPDIR:-/tmp}"/orion-lab-*/demo.state); fi
for file in "${files[@]}"; do
  # Only what root wrote is believed.
  [[ -f $file && -O $file && ! -L $file ]] || continue
  dir=$(realpath -- "${file%/*}")
  { IFS= read -r project; read -r pid start; } <"$file" || continue
  [[ $project == "$PROJECT" ]] || continue
  found=1
  stop "$dir" "$pid" "$start" || failed=1
done
if ((found == 0)); then
  [[ -z $ONLY ]] || { printf 'demo.sh: no demo of this checkout in %s\n' "$ONLY" >&2; exit 1; }
  printf 'no demo of this checkout is running\n'
fi
exit "$failed"
