#!/bin/bash
# Stands in for the entrypoint of the official MariaDB image, as far as compose.yaml uses it: MARIADB_DATABASE and MARIADB_ROOT_PASSWORD_FILE make the database
# when the data directory is empty.
set -euo pipefail
DATA=/var/lib/mysql INIT=/run/mysqld/init.sql

[[ ${1-} == mariadbd || ${1-} == -* ]] || exec "$@"
[[ $1 != -* ]] || set -- mariadbd "$@"
if ((EUID == 0)); then
  mkdir -p /run/mysqld
  chown mysql: "$DATA" /run/mysqld
  exec setpriv --reuid=mysql --regid=mysql --init-groups "${BASH_SOURCE[0]}" "$@"
fi

quote() { printf "'%s'" "${1//\'/\'\'}"; }

# The server runs it before it listens, and it may be run again: a first start that was cut short is made up for.
if [[ ! -e $DATA/.initialised ]]; then
  [[ -d $DATA/mysql ]] || mariadb-install-db --datadir="$DATA" --auth-root-authentication-method=normal --skip-test-db >/dev/null
  (
    umask 077
    cat >"$INIT" <<SQL
CREATE DATABASE IF NOT EXISTS \`$MARIADB_DATABASE\` CHARACTER SET utf8mb4;
DELETE FROM mysql.global_priv WHERE User = 'root' AND Host <> 'localhost';
FLUSH PRIVILEGES;
ALTER USER root@localhost IDENTIFIED BY $(quote "$(<"$MARIADB_ROOT_PASSWORD_FILE")");
SQL
    # The server takes one such file; what the command line names comes after.
    for argument; do
      if [[ $argument == --init-file=* ]]; then cat -- "${argument#*=}" >>"$INIT"; fi
    done
  )
  touch "$DATA/.initialised"
  set -- "$@" "--init-file=$INIT"
fi
exec "$@"
