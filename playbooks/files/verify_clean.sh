# Looks for anything left of Orion accounts; changes nothing. POSIX sh with Debian's or BusyBox's tools.
# Arguments: name uid [name uid ...]. Prints "FOUND <kind> <what>" lines, "UNEXAMINED <type> <path>" for each writable file system that is not this machine's own, and at
# last "VERIFIED <number found>".
# Shares nothing with the wipe on purpose: a mistake there must not be repeated here.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
umask 077
MAX=200

# Where no tenant can fill the disk, if there is such a place
work=$(mktemp -d /run/.orion-verify.XXXXXX 2>/dev/null || mktemp -d /tmp/.orion-verify.XXXXXX) || exit 3
trap 'rm -rf "$work"' EXIT
trap 'exit 4' HUP INT TERM
out=$work/found
: >"$out"

found() { printf 'FOUND %s %s\n' "$1" "$(printf %s "$2" | tr '\n\r' '??')" >>"$out"; }
# NUL-separated names on stdin; a path may be megabytes long, its beginning says enough
found_each() { tr '\n\r\0' '??\n' | head -n $MAX | cut -c 1-500 | while IFS= read -r what; do printf 'FOUND %s %s\n' "$1" "$what"; done >>"$out"; }

names= uids=
add_name() { case " $names " in *" $1 "*) ;; *) names="$names $1" ;; esac; }
add_uid() { case " $uids " in *" $1 "*) ;; *) uids="$uids $1" ;; esac; }

while [ $# -ge 2 ]; do
  case $1 in orn-*[!a-z0-9-]* | orn-) exit 5 ;; orn-*) ;; *) exit 5 ;; esac
  case $2 in '' | *[!0-9]* | 0*) exit 5 ;; esac
  add_name "$1"
  add_uid "$2"
  shift 2
done
[ $# -eq 0 ] || exit 5

# Orion accounts that nobody asked about
for file in /etc/passwd /etc/shadow /etc/group /etc/gshadow /etc/subuid /etc/subgid; do
  [ -r "$file" ] || continue
  for name in $(sed -n 's/^\(orn-[a-z0-9-]*\):.*/\1/p' "$file"); do add_name "$name"; done
done
for uid in $(sed -n 's/^orn-[a-z0-9-]*:[^:]*:\([1-9][0-9]*\):.*/\1/p' /etc/passwd); do add_uid "$uid"; done
for record in /var/lib/orion/accounts/* /var/lib/orion/accounts/.[!.]*; do
  { [ -e "$record" ] || [ -L "$record" ]; } && found record "$record"
  [ -f "$record" ] && for uid in $(sed -n 's/.*"uid": *\([1-9][0-9]*\).*/\1/p' "$record"); do add_uid "$uid"; done
done

for path in /var/lib/orion/keys/* /var/lib/orion/keys/.[!.]*; do
  { [ -e "$path" ] || [ -L "$path" ]; } && found path "$path"
done

for file in /etc/passwd /etc/shadow /etc/group /etc/gshadow /etc/subuid /etc/subgid; do
  [ -r "$file" ] || continue
  kind=${file#/etc/}
  for name in $names; do
    grep -q "^$name:" "$file" && found "$kind" "$name"
    case $kind in group | gshadow) grep -Eq "[:,]$name(,|:|\$)" "$file" && found "$kind-member" "$name" ;; esac
  done
  for uid in $uids; do
    case $kind in passwd | group) grep -q "^[^:]*:[^:]*:$uid:" "$file" && found "$kind" "uid $uid" ;; esac
  done
done

for name in $names; do
  for path in "/home/$name" "/var/spool/cron/crontabs/$name" "/var/spool/cron/$name" "/etc/crontabs/$name" "/var/mail/$name" \
    "/var/spool/mail/$name" "/var/lib/systemd/linger/$name" "/etc/security/limits.d/$name.conf" "/etc/sudoers.d/$name"; do
    { [ -e "$path" ] || [ -L "$path" ]; } && found path "$path"
  done
  for file in /etc/sudoers /etc/sudoers.d/*; do
    [ -f "$file" ] && grep -Eq "(^|[^A-Za-z0-9_-])$name([^A-Za-z0-9_-]|\$)" "$file" && found sudoers "$file"
  done
done
for uid in $uids; do [ -e "/run/user/$uid" ] && found path "/run/user/$uid"; done

# What the machine notes about accounts. Files named after one, wherever such notes are kept
for who in $names $uids; do
  for dir in /run/sudo/ts /var/lib/sudo/ts /var/lib/sudo/lectured /var/db/sudo/lectured /run/faillock /var/lib/AccountsService/users /var/lib/AccountsService/icons; do
    [ -e "$dir/$who" ] && found note "$dir/$who"
  done
done
for uid in $uids; do
  for dir in /var/log/journal /run/log/journal /var/lib/systemd/coredump /var/crash; do
    [ -d "$dir" ] || continue
    find "$dir" -type f \( -name "user-$uid.journal" -o -name "user-$uid@*" -o -name "core.*.$uid.*.*.*" -o -name "*.$uid.crash" -o -name "*.$uid.upload*" \) -print0 |
      found_each note
  done
done
# Who logged in, from where and when: the name as a text in what is kept a record a login, the uid as a place in what is kept a slot an account
for file in /run/utmp /var/log/wtmp* /var/log/wtmp.db /var/lib/wtmpdb/* /var/lib/lastlog/*; do
  [ -f "$file" ] && for name in $names; do grep -aqF -e "$name" "$file" && found login-record "$file"; done
done
case $(uname -m) in aarch64 | riscv64 | loongarch64) slot=296 ;; *) slot=292 ;; esac
for file in "/var/log/lastlog $slot" '/var/log/faillog 32' '/var/log/tallylog 64'; do
  slot=${file#* } file=${file% *}
  [ -s "$file" ] && for uid in $uids; do
    [ "$(dd if="$file" bs="$slot" skip="$uid" count=1 2>/dev/null | tr -d '\0' | wc -c)" -eq 0 ] || found login-record "$file"
  done
done
# Logs that name accounts stay, for the owner of the machine: nobody else may read them.
open_logs() {
  find /var/log/ -maxdepth 1 -type f -perm -004 \( -name 'auth.log*' -o -name 'secure*' -o -name 'syslog*' -o -name 'messages*' -o -name 'daemon.log*' \
    -o -name 'user.log*' -o -name 'cron*' -o -name 'mail*' -o -name 'sudo*' -o -name 'btmp*' -o -name 'wtmp*.?z*' \) -print0
  for dir in /var/log/audit /var/log/account /var/account /var/log/journal; do
    [ -d "$dir" ] && find "$dir" -type f -perm -004 \( -name 'audit*' -o -name 'pacct*' -o -name 'system*' \) -print0
  done
}
[ -n "$names" ] && open_logs | found_each open-log

# Keys in the kernel, which frees them a little after their end. A container that is not shown its keys can make none.
keys_left() { awk -F '[: \t/]+' -v uids="$uids" 'BEGIN { n = split(uids, list, " "); for (i = 1; i <= n; i++) wanted[list[i]] = 1 }
  { at = $1 == "" ? 2 : 1 } $at in wanted && $(at + 2) > 0 { print "FOUND key " $(at + 2) " of uid " $at }' /proc/key-users; }
if [ -f /proc/keys ] && [ -r /proc/key-users ]; then
  tries=0
  while [ $tries -lt 15 ] && [ -n "$(keys_left)" ]; do tries=$((tries + 1)); sleep 0.1 2>/dev/null || sleep 1; done
  keys_left >>"$out" || found unchecked keys
fi

# Threads, not processes: a main thread that has ended shows a zombie while the others live on. Three times, and after each the newest
# process over and over: a relay of forks lives on in processes that are gone before a list of them can be read to its end.
awk -v uids="$uids" -v LIST='ls -d /proc/[0-9]*/task/[0-9]*/status' '
  BEGIN { n = split(uids, list, " "); for (i = 1; i <= n; i++) wanted[list[i]] = 1
    for (round = 1; round <= 3; round++) {
      while ((LIST | getline file) > 0) look(file)
      close(LIST)
      for (i = 1; i <= 2000 && !relayed; i++) {
        if ((getline line < "/proc/loadavg") > 0) { split(line, field, " "); relayed = look("/proc/" field[5] "/status") }
        close("/proc/loadavg")
      }
    }
  }
  function look(file,   line, field, part, state, is) {
    while ((getline line < file) > 0) {
      split(line, field, "[ \t]+")
      if (field[1] == "State:") state = field[2]
      if (field[1] == "Uid:") {
        is = state != "Z" && state != "X" && (field[2] in wanted || field[3] in wanted || field[4] in wanted || field[5] in wanted)
        split(file, part, "/"); if (is && !(part[3] in said)) { said[part[3]] = 1; print "FOUND process " part[3] }
        break
      }
    }
    close(file)
    return is
  }' 2>/dev/null >>"$out" || found unchecked processes

for kind in shm sem msg; do
  [ -r "/proc/sysvipc/$kind" ] || continue
  awk -v uids="$uids" -v kind="$kind" '
    BEGIN { n = split(uids, list, " "); for (i = 1; i <= n; i++) wanted[list[i]] = 1 }
    NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
    $column["uid"] in wanted || $column["cuid"] in wanted { print "FOUND " kind " " $2 }' "/proc/sysvipc/$kind" >>"$out" || found unchecked "$kind"
done

# A line for each mount that can be reached: local, pseudo or foreign; rw or ro; type; mount point, as mountinfo writes it. What is neither known to be kept by this
# machine nor by the kernel alone is foreign, as is all that is mounted on such a file system.
awk -v LOCAL='ext2 ext3 ext4 xfs btrfs zfs f2fs bcachefs jfs reiserfs nilfs2 minix vfat msdos exfat ntfs ntfs3 hfs hfsplus udf iso9660 squashfs erofs ubifs jffs2
    tmpfs ramfs rootfs devtmpfs hugetlbfs overlay' \
  -v PSEUDO='proc sysfs cgroup cgroup2 devpts mqueue securityfs debugfs tracefs pstore configfs fusectl bpf rpc_pipefs nfsd binfmt_misc autofs nsfs efivarfs selinuxfs
    fuse.lxcfs fuse.gvfsd-fuse fuse.portal' '
  BEGIN { n = split(LOCAL, list, /[ \n]+/); for (i = 1; i <= n; i++) class[list[i]] = "local"
    n = split(PSEUDO, list, /[ \n]+/); for (i = 1; i <= n; i++) class[list[i]] = "pseudo" }
  { for (dash = 7; dash < NF && $dash != "-"; dash++) ; type[$5] = $(dash + 1); mode[$5] = ("," $6 "," $NF ",") ~ /,ro,/ ? "ro" : "rw" }
  END {
    for (point in type) is[point] = type[point] in class ? class[type[point]] : "foreign"
    for (point in type) if (is[point] == "foreign") foreign[point == "/" ? "/" : point "/"] = 1
    for (point in type) if (is[point] == "local") for (other in foreign) if (index(point, other) == 1) is[point] = "foreign"
    for (point in type) print is[point], mode[point], type[point], point
  }' /proc/self/mountinfo >"$work/mounts" || found unchecked mounts
# mountinfo writes blanks as octal escapes; the x keeps a newline at the end of a name
decoded() { printf "$(printf %s "$1" | sed 's/%/%%/g')x"; }
NL='
'
foreign=
while read -r class mode type point; do
  case $class in foreign) point=$(decoded "$point"); foreign=$foreign${point%x}$NL ;; esac
done <"$work/mounts"

owned= # find's expression for "belongs to one of them"; numbers are not names here, -user takes both and BusyBox has no -uid
for uid in $uids; do owned="$owned${owned:+ -o} -user $uid -o -group $uid"; done

# Everything owned at and below the paths, each on its own file system; a vanished file is no error, any other is a place that was not looked at.
# Usage: look KIND PATH... [-maxdepth 0]
look() {
  kind=$1
  shift
  # shellcheck disable=SC2086
  find "$@" -xdev \( $owned \) -print0 2>"$work/errors" | found_each "$kind"
  grep -v -e 'No such file' "$work/errors" | head -n 5 | while IFS= read -r line; do printf 'FOUND unchecked %s\n' "$line"; done >>"$out"
  return 0
}

if [ -n "$owned" ]; then
  for spool in /var/spool/cron/atjobs /var/spool/at; do [ -d "$spool" ] && look at-job "$spool"; done

  queues=$(sed -n 's/^\([^ ]* \)\{4\}\([^ ]*\) [^-]*- mqueue .*/\2/p' /proc/self/mountinfo | head -n 1)
  if [ -n "$queues" ]; then
    look mqueue "$queues"
  elif grep -q mqueue /proc/filesystems; then
    mkdir "$work/mq"
    # shellcheck disable=SC2086
    unshare -m sh -c 'mount -t mqueue mqueue "$1" && shift && exec find "$@" -print0' sh "$work/mq" "$work/mq" \( $owned \) \
      2>"$work/errors" >"$work/queues" || found unchecked "mqueue $(head -n 1 "$work/errors")"
    found_each mqueue <"$work/queues"
  fi

  for point in $(sed -n 's/^\([^ ]* \)\{4\}\([^ ]*\) [^-]*- cgroup2\{0,1\} .*/\2/p' /proc/self/mountinfo); do
    # shellcheck disable=SC2086
    find "$point" -xdev -type d \( $owned \) -print0 2>/dev/null | found_each cgroup
  done

  # find looks at a mount point before it can be told not to, and would hang on a server that is gone: on the way to one, the entries are named one by one.
  look_past() {
    case $NL$foreign in *"$NL${1%/}/"*) ;; *) look file "$1"; return ;; esac
    look file "$1" -maxdepth 0
    dir=${1%/}
    set --
    for entry in "$dir"/* "$dir"/.[!.]* "$dir"/..?*; do
      case $NL$foreign in
        *"$NL$entry$NL"*) ;;
        *"$NL$entry/"*) (look_past "$entry") ;;
        *) set -- "$@" "$entry" ;;
      esac
    done
    if [ $# -gt 0 ]; then look file "$@"; fi
  }

  looked=0
  while read -r class mode type point; do
    [ "$class $mode" = 'local rw' ] || continue
    point=$(decoded "$point")
    point=${point%x}
    [ -d "$point" ] && (look_past "$point") && looked=$((looked + 1))
  done <"$work/mounts"
  [ "$looked" -gt 0 ] || found unchecked 'no writable mount was recognised'
fi

sort -u "$out" >"$work/sorted"
head -n $MAX "$work/sorted"
while read -r class mode type point; do
  if [ "$class $mode" = 'foreign rw' ]; then
    point=$(decoded "$point")
    printf 'UNEXAMINED %s %s\n' "$type" "$(printf %s "${point%x}" | tr '\n\r' '??' | cut -c 1-500)"
  fi
done <"$work/mounts" | head -n 50
echo "VERIFIED $(wc -l <"$work/sorted" | tr -d ' ')"
