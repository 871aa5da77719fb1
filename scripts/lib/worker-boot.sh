#!/usr/bin/env bash
# First program of a worker, already in its own mount, pid, uts and ipc namespaces, and maybe its own network: makes the root, enters it,
# and becomes the init. Usage: worker-boot.sh NAME PORT PROJECT NODE HOST_NET, with ORION_WORKERS naming the state directory; HOST_NET is
# a descriptor of the host's network namespace.
set -euo pipefail
name=$1 port=$2 project=$3 node=$4 host_net=$5
# shellcheck source=worker-net.sh
. "$project/scripts/lib/worker-net.sh"

cd -- "$ORION_WORKERS"
exec </dev/null >>"$name/logs/init.log" 2>&1 3>>"$name/logs/sshd.log" 4>>"$name/logs/agent.log"

# The host's /proc is still mounted: it tells the pid by which the host knows this process.
IFS= read -r stat </proc/self/stat
read -ra fields <<<"${stat##*) }"
printf '%s %s\n' "${stat%% *}" "${fields[19]}" >"$name/pid"

read -r SUBNET NETWORK <subnet
place_worker "$name"
if [[ $NETWORK != host ]]; then link_worker "$host_net"; fi
# Whoever holds it can enter the host's network.
exec {host_net}<&-

umask 022
# Relative, for the options of an overlay are split at commas and colons, which the path of the state directory may have.
lower=template base=''
if [[ -L base ]]; then
  base=$(readlink base)
  mkdir -p -- "$name/base"
  mount --bind -o ro "$base" "$name/base"
  lower=template:$name/base
fi
mount -t overlay -o "lowerdir=$lower,upperdir=$name/upper,workdir=$name/work" overlay "$name/root"
agent_files=$PWD/$name/agent
cd -- "$name/root"

if [[ -z $base ]]; then
  for dir in usr opt bin sbin lib lib32 lib64 libx32; do
    if [[ -d $dir && ! -L $dir ]]; then mount --bind -o ro "/$dir" "$dir"; fi
  done
  case $node in
    /usr/* | /opt/*) ;;
    *) : >node && mount --bind -o ro "$node" node && node=/node ;;
  esac
fi

mount -t proc -o nosuid,nodev,noexec proc proc
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs run
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts dev/pts
mount -t mqueue mqueue dev/mqueue || :
printf '%s' "$name" >proc/sys/kernel/hostname
# Kernel settings are not namespaced: a worker's root must not turn the host's.
mount --bind -o ro proc/sys proc/sys

# A lease must not look into the project, whose state holds secrets, wherever it lies: it is mounted in a folder of root's
# alone, and at its own path is a link. Below /usr and /opt it is there already, as on the host.
mkdir -m 700 run/orion
mkdir run/orion/project
mount --bind -o ro "$project" run/orion/project
case $project in
  /usr/* | /opt/*) ;;
  *) mkdir -p -- "./${project%/*}" && ln -sfnT /run/orion/project "./$project" ;;
esac

# Pid 1 is the host's bash, which another system need not have: it lies there for root alone.
host=()
if [[ -n $base ]]; then
  mkdir run/orion/host
  mount --bind -o ro /usr run/orion/host
  loader=$(readlink -f "$(find /lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1 -maxdepth 0 2>/dev/null | head -n 1)")
  loader=/run/orion/host/${loader#/usr/}
  host=("$loader" --library-path "${loader%/*}:/run/orion/host/lib")
  bash=/run/orion/host/bin/bash setpriv=/run/orion/host/bin/setpriv
fi

mkdir -p run/sshd run/user etc/orion
mkdir -m 1777 run/lock
# The kernel keeps keys by uid and is shared by all workers, those of other runs too, so each begins with uids of its own, by chance: a machine accepts
# none that is below its fence.
mkdir -p var/lib/orion
if [[ ! -e var/lib/orion/fence ]]; then
  printf '%d\n' $((1000000 + ((RANDOM << 15 | RANDOM) % 16777216) * 100)) >var/lib/orion/fence
fi
printf '%s\n' "$name" >etc/hostname
printf '127.0.0.1 localhost\n%s %s\n' "$LISTEN" "$name" >etc/hosts
if [[ -d $agent_files ]]; then cp -a -- "$agent_files/." etc/orion/; fi

pivot_root . mnt
cd /
"${host[@]}" "${base:+/run/orion/host/bin/}umount" -l /mnt
exec "${host[@]}" "${setpriv:-setpriv}" --bounding-set -sys_time,-sys_module,-sys_rawio \
  env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "ORION_WORKERS=$ORION_WORKERS" \
  "${host[@]}" "${bash:-bash}" "$project/scripts/lib/worker-init.sh" "$LISTEN" "$port" "$project" "$node"
