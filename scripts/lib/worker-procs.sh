# Sourced by launch-workers.sh. The processes of a worker, seen from the host.
# shellcheck shell=bash

# Start time of a process in ticks, into STARTED; with the pid it names a process for good, for pids come again.
started_at() {
  local line fields
  STARTED=''
  { IFS= read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
  read -ra fields <<<"${line##*) }"
  STATE_LETTER=${fields[0]}
  STARTED=${fields[19]}
  [[ $STATE_LETTER != Z ]]
}

# Sets PID to the worker's init on the host when it runs; fails when it does not.
find_init() {
  local started
  PID=''
  [[ -s $STATE/$1/pid ]] || return 1
  read -r PID started <"$STATE/$1/pid"
  if started_at "$PID" && [[ $STARTED == "$started" ]]; then return 0; fi
  PID=''
  return 1
}

# running, frozen or stopped, into WORKER_STATE.
judge_worker() {
  WORKER_STATE=stopped
  find_init "$1" || return 0
  WORKER_STATE=running
  [[ $STATE_LETTER != T ]] || WORKER_STATE=frozen
}

# Waits for a process that is named by pid and start time to be gone; fails after the given number of 5 ms naps.
wait_gone() {
  local left=$3
  while started_at "$1" && [[ $STARTED == "$2" ]]; do
    ((left-- > 0)) || return 1
    nap 0.005
  done
}

kill_worker() {
  if find_init "$1"; then
    local started=$STARTED
    kill -KILL "$PID" 2>/dev/null || :
    wait_gone "$PID" "$started" 2000 || die "$1 (pid $PID) does not die"
  fi
  unlink_worker "$1"
}

stop_worker() {
  if find_init "$1"; then
    local started=$STARTED
    signal_all "$1" CONT
    kill -TERM "$PID" 2>/dev/null || :
    wait_gone "$PID" "$started" 2000 || :
  fi
  kill_worker "$1"
}

# Every process of the worker, init last; known by its pid namespace.
list_pids() {
  local dir init=$PID
  PIDS=()
  for dir in /proc/[0-9]*; do
    [[ $dir/ns/pid -ef /proc/$init/ns/pid && $dir != "/proc/$init" ]] && PIDS+=("${dir#/proc/}")
  done
  PIDS+=("$init")
}

signal_all() {
  find_init "$1" || return 1
  list_pids
  kill "-$2" "${PIDS[@]}" 2>/dev/null || :
}

# Stops until a pass finds nothing that still runs: a process may fork while the others are being stopped.
freeze_worker() {
  local pass pid awake
  for ((pass = 0; pass < 100; pass++)); do
    signal_all "$1" STOP || die "$1 does not run"
    awake=0
    for pid in "${PIDS[@]}"; do
      if started_at "$pid" && [[ $STATE_LETTER != [TZ] ]]; then awake=1; fi
    done
    ((awake)) || return 0
    nap 0.005
  done
  die "$1 does not freeze"
}

# Workers whose launch was killed before their pid was written: their environment still names the state directory.
kill_strays() {
  local file
  for file in $(grep -lzxF "ORION_WORKERS=$STATE" /proc/[0-9]*/environ 2>/dev/null); do
    file=${file#/proc/}
    [[ ${file%/environ} == "$$" ]] || kill -KILL "${file%/environ}" 2>/dev/null || :
  done
}
