#!/usr/bin/env bash
# Waits for a process to vanish, then undoes what a manifest lists: the guard behind tests and the demo, for when they are
# killed and cannot clean up themselves. Usage: reap.sh PID START_TIME MANIFEST
#
# Lines of the manifest, kind and value parted by a tab:
#   process PID START_TIME    kill its process group      workers DIR    launch-workers.sh --remove      dir DIR    delete
#   engine DIR                docker-engine.sh stop
set -u
pid=$1 start=$2 manifest=$3
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
exec {NAP}<> <(:)
nap() { read -rt "$1" -u "$NAP" || :; }

# A zombie counts as gone: its parent may never ask for it.
is_there() {
  local line fields
  { IFS= read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
  read -ra fields <<<"${line##*) }"
  [[ ${fields[0]} != Z && ${fields[19]} == "$2" ]]
}

# A pid that is nobody's may still be the number of the group, and then only of this group.
kill_group() {
  if is_there "$1" "$2" || [[ ! -e /proc/$1 ]]; then kill -KILL -- "-$1" 2>/dev/null; fi
}

# Labs within a folder have guards of their own, which need their notes until they are done.
await_labs() {
  local i
  for ((i = 0; i < 150; i++)); do
    compgen -G "$1/orion-lab-*" >/dev/null || return 0
    nap 0.2
  done
}

undo() {
  local kind value
  while IFS=$'\t' read -r kind value; do
    [[ $kind == "$1" ]] || continue
    case $kind in
      process) kill_group "${value% *}" "${value#* }" ;;
      workers) "$here/../launch-workers.sh" --state-dir "$value" --remove ;;
      engine) "$here/../docker-engine.sh" stop "$value" ;;
      dir) await_labs "$value"; rm -rf -- "$value" ;;
    esac
  done <<<"$NOTES"
}

while is_there "$pid" "$start"; do nap 0.3; done
NOTES=$(<"$manifest")
undo process
undo workers
undo engine
# Those that were just killed may still hold or write files.
nap 0.3
undo dir
