#!/usr/bin/env bash
# Makes local stand-ins for the base images, so that Orion's images are built and run without a registry: Debian by debootstrap, Node from
# the npm registry with the npm of this machine, MariaDB and Caddy from Debian's packages. Makes only what the engine lacks. Needs root, debootstrap and a Debian mirror
# (the one of this machine's apt, or ORION_DEBIAN_MIRROR).
#
# Usage: scripts/make-base-images.sh [--force] [--monitoring]     --force replaces what is there; --monitoring adds Prometheus and Alertmanager
set -euo pipefail
# Each user of the images reads their root.
umask 022
PROJECT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
RELEASE=bookworm
DEBIAN=debian:$RELEASE-slim NODE=node:24-$RELEASE-slim MARIADB=mariadb:10.11 CADDY=caddy:2 PROMETHEUS=prom/prometheus:latest
ALERTMANAGER=prom/alertmanager:latest
FORCE=0 MONITORING=0
STAND_INS=$(cat -- "$PROJECT"/docker/stand-ins/* "$PROJECT/scripts/node-runtime.json" "${BASH_SOURCE[0]}" | sha256sum | cut -c 1-16)

die() { printf 'make-base-images: %s\n' "$*" >&2; exit 1; }

# An image that was made here, from files that have changed since, is out of date. One that was pulled has no such label.
is_there() {
  local label
  label=$(docker image inspect -f '{{index .Config.Labels "orion.stand-ins"}}' "$1" 2>/dev/null) && [[ -z $label || $label == "$STAND_INS" ]]
}

# Runs a step quietly; one line when it is done, its output when it fails.
make_image() {
  local image=$1 began=$SECONDS
  shift
  if ((!FORCE)) && is_there "$image"; then return; fi
  # A condition would switch off `set -e` within the step, hence the subshell.
  set +e
  (set -e; "$@") >"$WORK/log" 2>&1
  local status=$?
  set -e
  ((status == 0)) || { tail -n 50 -- "$WORK/log" >&2; die "$image failed"; }
  printf '%-28s %4d s %5d MB\n' "$image" $((SECONDS - began)) $(($(docker image inspect -f '{{.Size}}' "$image") / 1000000))
}

mirror() {
  local uri=${ORION_DEBIAN_MIRROR:-}
  [[ -n $uri ]] || uri=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $RELEASE" 'Component: main' | sed -n 1p)
  printf '%s\n' "${uri:-http://deb.debian.org/debian}"
}

make_debian() {
  local root=$WORK/root
  debootstrap --variant=minbase --merged-usr "$RELEASE" "$root" "$(mirror)"
  copy_apt_settings "$root"
  # As in the slim images: no documentation, not even of what is installed later.
  cat >"$root/etc/dpkg/dpkg.cfg.d/docker-slim" <<'CONFIG'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/man/*
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/lintian/*
CONFIG
  find "$root/usr/share/doc" -type f ! -name copyright -delete
  rm -rf -- "$root"/usr/share/{man,info,locale,lintian}/* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/*.log "$root/etc/hostname"
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod 755 "$root/usr/sbin/policy-rc.d"
  tar -C "$root" --numeric-owner --one-file-system -c . | docker import --change 'CMD ["bash"]' - "$DEBIAN"
  rm -rf -- "$root"
}

# Where this machine gets its packages from, and how it gets there; no passwords. Images made here are for this machine.
copy_apt_settings() {
  local file
  rm -f -- "$1/etc/apt/sources.list"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    if [[ -f $file ]] && grep -q "$RELEASE" "$file"; then cp -- "$file" "$1${file}"; fi
  done
  apt-config dump | grep -E '^Acquire::(http|https|Check|ForceIPv|Retries)[^ ]* "[^"]' | grep -v '://[^/]*@' >"$1/etc/apt/apt.conf.d/90-of-the-host" || :
}

# A Dockerfile on stdin, a folder of files as its context.
build() { DOCKER_BUILDKIT=0 docker build --network=host --label "orion.stand-ins=$STAND_INS" --tag "$1" --file - "$2" 2>&1; }

make_node() {
  local context=$WORK/node folder
  folder=$(node "$PROJECT/scripts/node-runtime.mjs")
  mkdir -p -- "$context/lib/node_modules"
  cp -R -- "$folder/bin" "$folder/include" "$context/"
  cp -R -- "$(npm root --global)/npm" "$context/lib/node_modules/"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$context/bin/npm"
  ln -s ../lib/node_modules/npm/bin/npx-cli.js "$context/bin/npx"
  build "$NODE" "$context" <<DOCKERFILE
FROM $DEBIAN
COPY . /usr/local/
CMD ["node"]
DOCKERFILE
}

INSTALL='apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends'
CLEAN='rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*.log /var/log/apt'

make_mariadb() {
  build "$MARIADB" "$PROJECT/docker/stand-ins" <<DOCKERFILE
FROM $DEBIAN
RUN groupadd -r -g 999 mysql && useradd -r -u 999 -g mysql -d /var/lib/mysql -s /usr/sbin/nologin mysql \
  && $INSTALL mariadb-server-core mariadb-client && $CLEAN \
  && rm -rf /var/lib/mysql && mkdir -p /var/lib/mysql /run/mysqld && chown mysql: /var/lib/mysql /run/mysqld && chmod 1777 /run/mysqld
COPY mariadb-entrypoint.sh healthcheck.sh /usr/local/bin/
# As they are checked out, a strict umask closes them to the server's own user.
RUN chmod 755 /usr/local/bin/mariadb-entrypoint.sh /usr/local/bin/healthcheck.sh
VOLUME /var/lib/mysql
EXPOSE 3306
ENTRYPOINT ["mariadb-entrypoint.sh"]
CMD ["mariadbd"]
DOCKERFILE
}

make_caddy() {
  build "$CADDY" "$PROJECT/docker/stand-ins" <<DOCKERFILE
FROM $DEBIAN
RUN $INSTALL caddy netcat-openbsd && $CLEAN && rm -rf /etc/caddy && mkdir -p /etc/caddy /config /data
ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data
EXPOSE 80 443
WORKDIR /srv
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
DOCKERFILE
}

make_prometheus() {
  build "$PROMETHEUS" "$PROJECT/docker/stand-ins" <<DOCKERFILE
FROM $DEBIAN
RUN $INSTALL prometheus && $CLEAN && ln -s /usr/bin/prometheus /bin/prometheus 2>/dev/null; mkdir -p /prometheus && chown nobody: /prometheus
USER nobody
WORKDIR /prometheus
EXPOSE 9090
ENTRYPOINT ["/usr/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
DOCKERFILE
}

make_alertmanager() {
  build "$ALERTMANAGER" "$PROJECT/docker/stand-ins" <<DOCKERFILE
FROM $DEBIAN
RUN $INSTALL prometheus-alertmanager && $CLEAN && mkdir -p /alertmanager && chown nobody: /alertmanager
USER nobody
WORKDIR /alertmanager
EXPOSE 9093
ENTRYPOINT ["/usr/bin/prometheus-alertmanager"]
CMD ["--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/alertmanager"]
DOCKERFILE
}

for option; do
  case $option in
    --force) FORCE=1 ;;
    --monitoring) MONITORING=1 ;;
    -h | --help) sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) die "unknown option $option" ;;
  esac
done
((EUID == 0)) || die 'must run as root'
command -v debootstrap >/dev/null || die 'debootstrap is missing: scripts/install-deps.sh --docker'
docker version >/dev/null || die 'no Docker engine answers'
WORK=$(mktemp -d)
trap 'rm -rf -- "$WORK"' EXIT
make_image "$DEBIAN" make_debian
make_image "$NODE" make_node
make_image "$MARIADB" make_mariadb
make_image "$CADDY" make_caddy
if ((MONITORING)); then
  make_image "$PROMETHEUS" make_prometheus
  make_image "$ALERTMANAGER" make_alertmanager
fi
