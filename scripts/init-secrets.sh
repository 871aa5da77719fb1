#!/usr/bin/env bash
# Makes the secrets of a control plane in containers, each in a file of its own, and only those that are missing. The folder is closed to
# everybody else; the files in it are readable, because the users in the containers have other numbers.
#
# Usage: scripts/init-secrets.sh          in ./secrets, and settings of this machine for compose in ./.env
#        scripts/init-secrets.sh DIR      in DIR, and no .env
set -euo pipefail
PROJECT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)

die() { printf 'init-secrets: %s\n' "$*" >&2; exit 1; }

# Whole or not at all: a half-written secret would never be made anew.
keep() { [[ -s $DIR/$1 ]] || make "$@"; }

make() {
  local name=$1
  shift
  "$@" >"$DIR/.$name.new"
  chmod 444 "$DIR/.$name.new"
  mv -- "$DIR/.$name.new" "$DIR/$name"
  printf 'made %s\n' "$name"
}

random() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

# In a shell of its own, whose end takes the copy of the key along, whatever ends it.
ssh_key() (
  dir=$(mktemp -d "$DIR/.ssh-XXXXXX")
  trap 'rm -rf -- "$dir"' EXIT
  trap 'exit 1' INT TERM HUP
  ssh-keygen -q -t ed25519 -N '' -C orion -f "$dir/key" </dev/null
  cat -- "$dir/key"
)

# The identity that decrypts, with the recipient that encrypts in its comment.
checkpoint_key() { age-keygen 2>/dev/null; }

# By a pipe: ssh-keygen refuses a file of its caller's that others may read.
ssh_public_key() { ssh-keygen -y -f /dev/stdin < <(cat -- "$DIR/$1"); }

# By which machines know the control plane; as `ssh-keygen -l` prints it.
control_fingerprint() { ssh-keygen -l -f "$DIR/control_key.pub" | cut -d ' ' -f 2; }

# The authority of the database's certificate. Its key is mounted nowhere.
db_authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 7300 -subj '/CN=Orion database' -keyout "$DIR/.db_ca_key.new" -out /dev/stdout 2>/dev/null
  chmod 400 "$DIR/.db_ca_key.new"
  mv -- "$DIR/.db_ca_key.new" "$DIR/db_ca_key"
}

db_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 2>/dev/null; }

# For the name by which the roles reach it, and that by which its backups do.
db_certificate() {
  openssl req -new -key "$DIR/db_key" -subj '/CN=db' | openssl x509 -req -days 3650 -CA "$DIR/db_ca" -CAkey "$DIR/db_ca_key" -set_serial "0x$(head -c 16 /dev/urandom | od -An -v -tx1 | tr -d ' \n')" \
    -extfile <(printf 'subjectAltName=DNS:db,DNS:localhost\n') 2>/dev/null
}

# Renewed a year before it ends, or when its key or its authority is another one.
db_certificate_is_good() {
  [[ -s $DIR/db_cert ]] && openssl x509 -in "$DIR/db_cert" -noout -checkend 31536000 >/dev/null &&
    [[ $(openssl x509 -in "$DIR/db_cert" -noout -pubkey) == "$(openssl pkey -in "$DIR/db_key" -pubout)" ]] &&
    openssl verify -CAfile "$DIR/db_ca" "$DIR/db_cert" >/dev/null 2>&1
}

# What MariaDB runs at each start (one statement a line): the users of the roles have the passwords that are in this folder. What each may do, `orion migrate grant` says.
db_users() {
  local role password
  for role in migrate api scheduler gateway autoscaler; do
    password=$(sed -e 's/\\/\\\\/g' -e "s/'/''/g" -- "$DIR/db_password_$role")
    printf "CREATE USER IF NOT EXISTS orion_%s@'%%' IDENTIFIED BY '%s' REQUIRE SSL;\n" "$role" "$password"
    printf "ALTER USER orion_%s@'%%' IDENTIFIED BY '%s' REQUIRE SSL;\n" "$role" "$password"
  done
  printf "GRANT ALL ON orion.* TO orion_migrate@'%%' WITH GRANT OPTION;\n"
  # A restore looks whether anybody else is connected.
  printf "GRANT PROCESS ON *.* TO orion_migrate@'%%';\n"
}

# Empty until somebody fills it.
keep_empty() { [[ -e $DIR/$1 ]] || install -m 444 /dev/null "$DIR/$1"; }

# Mounted into containers whose users have other numbers; a checkout that was made under a strict umask is closed to them.
open_configuration() { chmod -R a+rX -- Caddyfile docker/monitoring; }

set_in_env() { grep -qs "^$1=" .env || printf '%s=%s\n' "$1" "$2" >>.env; }

write_env() {
  local socket=${ORION_DOCKER_SOCKET:-/var/run/docker.sock}
  set_in_env COMPOSE_PROJECT_NAME orion
  # The scale driver uses the socket as a member of its group.
  if [[ -S $socket ]]; then set_in_env ORION_DOCKER_GID "$(stat -c %g -- "$socket")"; fi
}

(($# < 2)) && [[ ${1-} != -* ]] || { sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
command -v openssl >/dev/null || die 'openssl is missing: install it'
command -v ssh-keygen >/dev/null || die 'ssh-keygen is missing: install the OpenSSH client'
command -v age-keygen >/dev/null || die 'age-keygen is missing: install age (https://age-encryption.org), which encrypts the checkpoints of homes'
cd -- "$PROJECT"
DIR=${1:-secrets}
umask 077
open_configuration
mkdir -p -m 700 -- "$DIR"
chmod 700 -- "$DIR"
keep db_root_password random
for role in migrate api scheduler gateway autoscaler; do keep "db_password_$role" random; done
keep db_ca db_authority
keep db_key db_key
db_certificate_is_good || make db_cert db_certificate
[[ -s $DIR/db_users && $(<"$DIR/db_users") == "$(db_users)" ]] || make db_users db_users
keep jwt_key random
# The control plane's for nodes, what nodes know it by, the gateways' for the accounts of tenants, what clients know the gateways by, and what
# signs the audit log.
for key in ssh_key control_key gateway_key gateway_host_key audit_key; do
  keep "$key" ssh_key
  keep "$key.pub" ssh_public_key "$key"
done
keep control_fingerprint control_fingerprint
keep checkpoint_key checkpoint_key
# For rotating jwt_key and control_key: docs/operations.md.
keep_empty jwt_extra_keys
keep_empty control_old_keys
# Each worker of the profile `workers` reads it; empty, they wait for an operator's approval.
keep_empty join_token
(($#)) || write_env
