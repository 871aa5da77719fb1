#!/usr/bin/env bash
# Pid 1 of a worker: starts sshd and the agent, starts them again when they fail, reaps what is orphaned (bash does so by
# itself), and on SIGTERM ends everything in order. An agent that ends with 0 was told to leave and stays down.
# Usage: worker-init.sh ADDRESS PORT PROJECT NODE; log files on descriptors 3 (sshd) and 4 (agent).
set -u
address=$1 port=$2 project=$3 node=$4
sshd_pid='' agent_pid=''
exec {NAP}<> <(:)
nap() { read -rt "$1" -u "$NAP" || :; }
say() { printf '%(%FT%TZ)T %s\n' -1 "$*"; }

start_sshd() {
  [[ -s /etc/ssh/ssh_host_ed25519_key ]] ||
    ssh-keygen -q -t ed25519 -N '' -C "$(</etc/hostname)" -f /etc/ssh/ssh_host_ed25519_key
  env -u ORION_WORKERS /usr/sbin/sshd -D -e -o "ListenAddress=$address:$port" >&3 2>&1 3>&- 4>&- &
  sshd_pid=$!
}

start_agent() {
  local settings
  [[ -f /etc/orion/agent.env ]] || return 0
  mapfile -t settings </etc/orion/agent.env
  env -i PATH="$PATH" HOME=/root "${settings[@]}" "$node" "$project/dist/orion-agent.js" >&4 2>&1 3>&- 4>&- &
  agent_pid=$!
}

shut_down() {
  trap '' TERM
  say 'stopping'
  local i
  [[ -z $agent_pid ]] || kill -TERM "$agent_pid" 2>/dev/null
  for ((i = 0; i < 100; i++)); do
    [[ -n $agent_pid ]] && kill -0 "$agent_pid" 2>/dev/null || break
    nap 0.05
  done
  kill -TERM -1 2>/dev/null
  nap 0.1
  exit 0
}
trap shut_down TERM

say "up as $(</etc/hostname) on $address:$port"
start_sshd
start_agent
while :; do
  # Without a child of ours left there is still the promise to reap and to stop.
  wait -n -p ended ${sshd_pid:+"$sshd_pid"} ${agent_pid:+"$agent_pid"}
  status=$?
  if [[ ${ended:-} == "$agent_pid" && -n $agent_pid ]]; then
    say "agent ended with $status"
    agent_pid=''
    ((status == 0)) || { nap 1; start_agent; }
  elif [[ ${ended:-} == "$sshd_pid" && -n $sshd_pid ]]; then
    say "sshd ended with $status"
    nap 1
    start_sshd
  else
    nap 0.2
  fi
done
