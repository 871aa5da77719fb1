#!/bin/sh
# Main process of a worker container: sshd, cron and the agent, started again when they fail, ended at SIGTERM. Host key, accounts and
# the agent's credential are files of the container and live through a restart. An agent that ends with 0 was told to leave and stays down.
# `worker-entrypoint.sh check` is the health check.
set -u
TOKEN=/etc/orion/join-token STATE=/var/lib/orion

# Listening on port 22, by the kernel's table: connecting would leave lines in the log.
if [ "${1-}" = check ]; then
  grep -qE '^ *[0-9]+: [0-9A-F]+:0016 [0-9A-F]+:0000 0A ' /proc/net/tcp && pgrep -f orion-agent.js >/dev/null
  exit
fi

keep() {
  until "$@"; do sleep 1; done
}

# The token has done its work once there is a credential.
agent() {
  if [ -s "$STATE/agent/credential" ]; then rm -f "$TOKEN"; fi
  if [ -s "$TOKEN" ]; then set -- env "ORION_JOIN_TOKEN_FILE=$TOKEN"; fi
  "$@" node /opt/orion/orion-agent.js
}

cron_daemon() {
  if command -v cron >/dev/null; then cron -f; else crond -f; fi
}

shut_down() {
  trap '' TERM INT
  kill -TERM -1 2>/dev/null
  tries=50
  while [ $tries -gt 0 ] && pgrep -f orion-agent.js >/dev/null; do
    sleep 0.1
    tries=$((tries - 1))
  done
  exit 0
}
trap shut_down TERM INT

[ -s /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -C "$(hostname)" -f /etc/ssh/ssh_host_ed25519_key
mkdir -p -m 755 /run/sshd
# The environment of the container is the agent's; what sshd starts, tenants see.
keep env -i PATH="$PATH" /usr/sbin/sshd -D -e &
keep cron_daemon &
keep agent &
while :; do wait; sleep 1; done
