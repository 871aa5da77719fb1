#!/usr/bin/env bash
# Builds the two images of Orion, orion and orion-worker, tagged ${ORION_VERSION:-local}. npm's settings (~/.npmrc) and the certificate
# authorities of this machine (NODE_EXTRA_CA_CERTS, or npm's cafile) reach the build as secrets, which end up in no layer. BASE_IMAGE and NODE_IMAGE choose
# other bases. Usage: scripts/build-images.sh [orion|worker] [options of docker build]
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
VERSION=${ORION_VERSION:-local}

die() { printf 'build-images: %s\n' "$*" >&2; exit 1; }

# Build secrets need BuildKit, which newer command lines have only with their buildx plugin. There may be several of them.
find_docker() {
  local docker
  for docker in $(type -ap docker); do
    if DOCKER_BUILDKIT=1 "$docker" build --help 2>/dev/null | grep -q -- --secret; then
      DOCKER=$docker
      return
    fi
  done
  die 'docker with BuildKit is missing: install the buildx plugin'
}

build() {
  local file=$1 tag=$2 arguments=() variable
  shift 2
  for variable in BASE_IMAGE NODE_IMAGE; do
    if [[ -n ${!variable:-} ]]; then arguments+=(--build-arg "$variable"); fi
  done
  DOCKER_BUILDKIT=1 "$DOCKER" build --network=host --file "$file" --tag "$tag" "${arguments[@]}" \
    --build-arg "ORION_VERSION=$VERSION" --build-arg "ORION_REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)" "$@" .
}

WHAT=both
case ${1-} in orion | worker) WHAT=$1; shift ;; esac
find_docker
SECRETS=()
[[ ! -f ~/.npmrc ]] || SECRETS+=(--secret "id=npmrc,src=$HOME/.npmrc")
CA=${NODE_EXTRA_CA_CERTS:-$(npm config get cafile 2>/dev/null || :)}
[[ ! -f $CA ]] || SECRETS+=(--secret "id=ca,src=$CA")
if [[ $WHAT != worker ]]; then build docker/Dockerfile "orion:$VERSION" "${SECRETS[@]}" "$@"; fi
if [[ $WHAT != orion ]]; then build docker/worker.Dockerfile "orion-worker:$VERSION" --build-arg "ORION_IMAGE=orion:$VERSION" "$@"; fi
