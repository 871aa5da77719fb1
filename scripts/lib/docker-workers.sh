# Sourced by launch-workers.sh for --docker: workers that are containers in the network of a control plane that compose brought up. A
# container named PROJECT-worker-N is the worker-N of that project; the engine keeps all there is to know of it.
# shellcheck shell=bash

DOCKER_PORT=22
# As in compose.yaml.
RIGHTS=(--cap-add=AUDIT_WRITE --cap-add=CHOWN --cap-add=DAC_OVERRIDE --cap-add=FOWNER --cap-add=FSETID --cap-add=KILL --cap-add=NET_BIND_SERVICE --cap-add=SETGID --cap-add=SETUID --cap-add=SYS_CHROOT)
WORKER_IMAGE=${ORION_WORKER_IMAGE:-orion-worker:${ORION_VERSION:-local}}

# As compose finds it: the environment, then .env, then the name of the folder.
compose_project() {
  local name=${COMPOSE_PROJECT_NAME:-}
  if [[ -z $name && -r $PROJECT/.env ]]; then name=$(sed -n 's/^COMPOSE_PROJECT_NAME=//p' "$PROJECT/.env" | tail -n 1); fi
  if [[ -z $name ]]; then name=${PROJECT##*/} name=${name,,} name=${name//[^a-z0-9_-]/}; fi
  printf '%s\n' "$name"
}

docker_list() {
  docker ps -a --filter "label=orion.project=$COMPOSE" --filter label=orion.worker --format '{{.Label "orion.worker"}}' | sort -V
}

docker_api() {
  local api
  # Not through head, which would end docker by SIGPIPE.
  read -r api < <(docker ps -q --filter "label=com.docker.compose.project=$COMPOSE" --filter label=com.docker.compose.service=api) || die "no api of the project $COMPOSE runs: docker compose up -d, or give --token-file"
  printf '%s\n' "$api"
}

# The token goes in as a file, for what a container was started with can be read by whoever may ask the engine.
docker_create() {
  local name=$COMPOSE-$1 setting settings=()
  for setting in ${LABELS:+"ORION_LABELS=$LABELS"} ${CPUS:+"ORION_TEST_CONSTANTS={\"cpus\":$CPUS}"} "${AGENT_ENV[@]}"; do settings+=(--env "$setting"); done
  docker create --name "$name" --hostname "$1" --network "${COMPOSE}_workers" --label "orion.worker=$1" --label "orion.project=$COMPOSE" \
    --init --restart unless-stopped --stop-timeout 20 --pids-limit 4096 --cap-drop ALL "${RIGHTS[@]}" --log-opt max-size=10m --log-opt max-file=3 \
    --env "API_ENDPOINT=$ENDPOINT" --env "MY_HOSTNAME=$1" "${settings[@]}" "$WORKER_IMAGE" >/dev/null
  tar --owner=0 --group=0 --mode=600 -C "$2" -c join-token | docker cp - "$name:/etc/orion"
  docker start "$name" >/dev/null
}

docker_token() {
  local api
  if [[ -n $TOKEN_FILE ]]; then cat -- "$TOKEN_FILE"; else
    api=$(docker_api)
    docker exec "$api" orion admin join-token launch-workers --max-uses "$COUNT" --ttl-hours 1
  fi
}

docker_launch() {
  local i last names=() name files
  docker image inspect "$WORKER_IMAGE" >/dev/null 2>&1 || "$HERE/build-images.sh" worker >&2
  files=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rm -rf -- '$files'" EXIT
  docker_token >"$files/join-token"
  last=$(docker_list | tail -n 1)
  last=${last#worker-}
  for ((i = ${last:-0} + 1; i <= ${last:-0} + COUNT; i++)); do
    docker_create "worker-$i" "$files"
    names+=("worker-$i")
  done
  for name in "${names[@]}"; do docker_await "$name"; done
  for name in "${names[@]}"; do docker_print "$name"; done
}

# Until its sshd listens, as the kernel's table in it says; connecting would leave lines in its log.
docker_await() {
  local i
  for ((i = 0; i < 300; i++)); do
    if docker exec "$COMPOSE-$1" grep -qE ': 0{8}:0016 0{8}:0000 0A ' /proc/net/tcp 2>/dev/null; then return; fi
    nap 0.1
  done
  docker logs --tail 20 "$COMPOSE-$1" >&2 || :
  die "$1 does not listen on port $DOCKER_PORT"
}

docker_print() {
  local status pid address type='' blob='' state=stopped
  read -r status pid address < <(docker inspect --format "{{.State.Status}} {{.State.Pid}} {{(index .NetworkSettings.Networks \"${COMPOSE}_workers\").IPAddress}}" "$COMPOSE-$1")
  case $status in
    running) state=running ;;
    paused) state=frozen ;;
  esac
  # Out of the file system: it is there while the worker is down, too.
  read -r type blob _ < <(docker cp "$COMPOSE-$1:/etc/ssh/ssh_host_ed25519_key.pub" - 2>/dev/null | tar -xO 2>/dev/null) || :
  ((pid > 0)) || pid=null
  printf '{"name":"%s","address":"%s","port":%d,"pid":%s,"state":"%s","host_key":"%s","logs":"docker logs %s"}\n' \
    "$1" "$address" "$DOCKER_PORT" "$pid" "$state" "${type:+$type $blob}" "$COMPOSE-$1"
}

docker_remove() {
  docker ps -aq --filter "label=orion.project=$COMPOSE" --filter label=orion.worker | xargs -r docker rm -f >/dev/null
}

docker_start() {
  ((FRESH == 0)) || usage_error '--fresh is for workers without --docker: remove the container and launch another'
  docker start "$COMPOSE-$NAME" >/dev/null
  docker_await "$NAME"
  docker_print "$NAME"
}

docker_exec() {
  local terminal=()
  if [[ -t 0 && -t 1 ]]; then terminal=(-t); fi
  exec docker exec -i "${terminal[@]}" "$COMPOSE-$NAME" "${COMMAND[@]}"
}

run_docker() {
  local name
  COMPOSE=$(compose_project)
  case $VERB in
    launch) docker_launch ;;
    list) docker_list | while read -r name; do docker_print "$name"; done ;;
    remove) docker_remove ;;
    start) docker_start ;;
    exec) docker_exec ;;
    kill) docker kill "$COMPOSE-$NAME" >/dev/null ;;
    stop) docker stop "$COMPOSE-$NAME" >/dev/null ;;
    freeze) docker pause "$COMPOSE-$NAME" >/dev/null ;;
    thaw) docker unpause "$COMPOSE-$NAME" >/dev/null ;;
  esac
}
