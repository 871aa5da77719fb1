#!/usr/bin/env bash
# Replaces every replica of the control plane by one of the image that compose.yaml names now, one after the other, without interrupting
# service: first the migrations, then for each old replica a new one is started, and the old one is stopped once the new one is healthy.
# The autoscaler rests meanwhile. Safe to repeat: replicas that are new already stay, unless --force is given.
#
# Usage: scripts/rolling-update.sh [--force]      with the variables of compose.yaml, such as ORION_IMAGE or ORION_VERSION
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
HEALTHY_SECONDS=120
FORCE=0

die() { printf 'rolling-update: %s\n' "$*" >&2; exit 1; }
say() { printf '%s\n' "$*"; }

compose() {
  if docker compose version >/dev/null 2>&1; then docker compose "$@"; else docker-compose "$@"; fi
}

ids() { compose ps -q "$1"; }

image_of() { docker inspect --format '{{.Image}}' "$1"; }

# What compose.yaml names now. The migration has just run with it.
wanted_image() {
  local migrate
  mapfile -t migrate < <(docker ps -aq --no-trunc --filter label=com.docker.compose.service=migrate --filter "label=com.docker.compose.project=$PROJECT_NAME")
  image_of "${migrate[0]}"
}

await_healthy() {
  local id=$1 health i
  for ((i = 0; i < HEALTHY_SECONDS * 2; i++)); do
    health=$(docker inspect --format '{{.State.Health.Status}}' "$id" 2>/dev/null) || die "the new replica $id is gone"
    [[ $health != healthy ]] || return 0
    sleep 0.5
  done
  docker logs --tail 20 "$id" >&2 || :
  die "the new replica $id is not healthy after $HEALTHY_SECONDS s; the old ones still serve"
}

replace() {
  local service=$1 old=$2 count fresh code
  mapfile -t before < <(ids "$service")
  count=${#before[@]}
  compose up -d --no-deps --no-recreate --no-build --scale "$service=$((count + 1))" "$service" >/dev/null 2>&1
  fresh=$(comm -13 <(printf '%s\n' "${before[@]}" | sort) <(ids "$service" | sort))
  [[ -n $fresh ]] || die "compose started no new $service"
  await_healthy "$fresh"
  # Its own time to stop: it turns unready, finishes what it has in hand, hands back its claims.
  docker stop "$old" >/dev/null
  code=$(docker inspect --format '{{.State.ExitCode}}' "$old")
  ((code == 0)) || say "$service: ${old:0:12} ended with $code instead of 0: $(docker logs --tail 3 "$old" 2>&1)"
  docker rm "$old" >/dev/null
  say "$service: ${fresh:0:12} has taken over from ${old:0:12}"
}

update() {
  local service=$1 id
  for id in $(ids "$service"); do
    if ((!FORCE)) && [[ $(image_of "$id") == "$WANTED" ]]; then continue; fi
    replace "$service" "$id"
  done
}

case ${1-} in
  '') ;;
  --force) FORCE=1 ;;
  -h | --help) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
  *) die "unknown option $1" ;;
esac
mapfile -t APIS < <(ids api)
((${#APIS[@]})) || die 'nothing runs yet: docker compose up -d'
PROJECT_NAME=$(docker inspect --format '{{index .Config.Labels "com.docker.compose.project"}}' "${APIS[0]}")
mapfile -t RESTING < <(ids autoscaler)
if ((${#RESTING[@]})); then docker stop "${RESTING[@]}" >/dev/null; fi
compose up --no-deps --no-build --exit-code-from migrate migrate >/dev/null 2>&1 || die 'the migrations failed; nothing was replaced: docker compose logs migrate'
WANTED=$(wanted_image)
update api
update scheduler
if ((${#RESTING[@]})); then compose up -d --no-deps --no-build scale-driver autoscaler >/dev/null 2>&1; fi
mapfile -t GATEWAYS < <(ids gateway)
if ((${#GATEWAYS[@]})) && { ((FORCE)) || [[ $(image_of "${GATEWAYS[0]}") != "$WANTED" ]]; }; then
  # Its port can be had once: commands under way get 20 s to finish, and shells are opened anew.
  compose up -d --no-deps --no-build --force-recreate gateway >/dev/null 2>&1
  say 'gateway: replaced; open shells were cut, the leases are as they were'
fi
say 'every replica runs the wanted image'
