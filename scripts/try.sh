#!/usr/bin/env bash
# Tries out a control plane that compose brought up here: runs the command line `orion` in a container, against https://localhost, with an account
# that it makes the first time (kept in the volume PROJECT_try, with its SSH key). Without arguments it rents a machine for half an hour and logs in.
#
# Usage: scripts/try.sh [arguments of orion, such as: leases | rent --hours 2 | ssh 1 | release 1]
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

die() { printf 'try: %s\n' "$*" >&2; exit 1; }

compose() {
  if docker compose version >/dev/null 2>&1; then docker compose "$@"; else docker-compose "$@"; fi
}

setting() {
  local value=${!1-}
  if [[ -z $value && -r .env ]]; then value=$(sed -n "s/^$1=//p" .env | tail -n 1); fi
  printf '%s\n' "${value:-$2}"
}

case ${1-} in -h | --help) sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;; esac
caddy=$(compose ps -q caddy 2>/dev/null) && [[ -n $caddy ]] || die 'nothing runs here yet: scripts/init-secrets.sh && docker compose up -d'
PROJECT=$(docker inspect --format '{{index .Config.Labels "com.docker.compose.project"}}' "$caddy")
IMAGE=$(setting ORION_IMAGE "orion:$(setting ORION_VERSION local)")
CA=$(mktemp)
trap 'rm -f -- "$CA"' EXIT
chmod 644 "$CA"
docker exec "$caddy" cat /data/caddy/pki/authorities/local/root.crt >"$CA" || die 'Caddy has no certificate yet: try again in a moment'

orion() {
  local terminal=()
  if [[ -t 0 && -t 1 ]]; then terminal=(-t); fi
  docker run --rm -i "${terminal[@]}" --network host --volume "${PROJECT}_try:/home/orion" --volume "$CA:/ca.crt:ro" \
    --env ORION_CA_FILE=/ca.crt --env "ORION_SERVER=https://localhost:$(setting ORION_HTTPS_PORT 443)" "$IMAGE" "$@"
}

if ! orion --quiet whoami >/dev/null 2>&1 </dev/null; then
  head -c 18 /dev/urandom | base64 | orion --quiet signup --username "try-$(head -c 4 /dev/urandom | od -An -tx1 | tr -d ' \n')" --password-stdin
fi
(($#)) || set -- rent --minutes 30 --ssh
orion "$@"
