#!/bin/sh
# Installs what an image needs, on bases with apt (Debian) or apk (Alpine). Usage: install-packages.sh build|runtime|worker
set -eu
case $1 in
  build) debian='python3 make g++' alpine='python3 make g++' ;;
  runtime) debian='ansible-core openssh-client age libstdc++6' alpine='ansible-core openssh-client-default age libstdc++' ;;
  worker) debian='openssh-server python3 cron procps libstdc++6' alpine='openssh-server python3 procps-ng setpriv tar libstdc++' ;;
  *) echo "install-packages: no such image: $1" >&2; exit 2 ;;
esac
if command -v apk >/dev/null; then
  # shellcheck disable=SC2086
  apk add --no-cache $alpine
else
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q update
  # shellcheck disable=SC2086
  apt-get -q -y install --no-install-recommends $debian
  rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/log/*.log /var/log/apt
fi
# Made while installing: every image would have the same.
rm -f /etc/ssh/ssh_host_*
