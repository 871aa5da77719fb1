#!/usr/bin/env bash
# Prints a stack file for `docker stack deploy`, made from compose.yaml and its variables: the two formats differ in what is changed below.
# On a manager, after scripts/init-secrets.sh:
#
#   scripts/make-stack.sh >stack.yaml && docker stack deploy -c stack.yaml orion
#
# Needs docker-compose (or docker compose) and Python's yaml. Database, Caddy, autoscaler and scale driver stay on a manager; the
# others go anywhere.
# Usage: scripts/make-stack.sh [further compose files]
set -euo pipefail
PROJECT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
FILES=(-f "$PROJECT/compose.yaml")
for file in "$@"; do FILES+=(-f "$file"); done

die() { printf 'make-stack: %s\n' "$*" >&2; exit 1; }

resolve() {
  if command -v docker-compose >/dev/null; then
    docker-compose --project-directory "$PROJECT" "${FILES[@]}" config
  else
    docker compose --project-directory "$PROJECT" "${FILES[@]}" config
  fi
}

python3 -c 'import yaml' 2>/dev/null || die 'Python has no yaml: install python3-yaml'
RESOLVED=$(resolve) || die 'compose.yaml cannot be read'
PROJECT=$PROJECT python3 /dev/fd/3 3<<'PYTHON' <<<"$RESOLVED"
import hashlib, os, re, sys, yaml

# Between machines.
OVERLAY = {"driver": "overlay", "driver_opts": {"encrypted": "true"}}
SIZES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def to_bytes(text):
    number, unit = re.fullmatch(r"(\d+)([bkmg]?)b?", text.lower()).groups()
    return int(number) * SIZES[unit]


def tmpfs_mount(entry):
    target, _, options = entry.partition(":")
    size = re.search(r"size=(\w+)", options)
    return {"type": "tmpfs", "target": target, **({"tmpfs": {"size": to_bytes(size[1])}} if size else {})}


def host_port(port):
    """On the host itself and past the swarm's own balancer, which would hide who is calling."""
    if isinstance(port, dict):
        return {"target": int(port["target"]), "published": int(port["published"]), "mode": "host"}
    published, target = port.split("/")[0].split(":")[-2:]
    return {"target": int(target), "published": int(published), "mode": "host"}


def by_content(name, file):
    """Secrets and configs of a swarm never change: a new content is a new one."""
    with open(file, "rb") as stream:
        return {"file": file, "name": f"{name}_{hashlib.sha256(stream.read()).hexdigest()[:12]}"}


def source(secret):
    return secret if isinstance(secret, str) else secret["source"]


stack = yaml.safe_load(sys.stdin)
subnet = stack["networks"]["default"]["ipam"]["config"][0]["subnet"]
# A swarm refuses empty ones.
secrets = {name: by_content(name, secret["file"]) for name, secret in stack["secrets"].items() if os.path.isfile(secret["file"]) and os.path.getsize(secret["file"])}
services = {name: s for name, s in stack["services"].items() if "profiles" not in s}
for name, service in services.items():
    # The roles wait for the database and its schema by themselves.
    for key in ("build", "depends_on", "restart", "security_opt", "env_file"):
        service.pop(key, None)
    deploy = service.setdefault("deploy", {})
    limits = deploy.get("resources", {}).get("limits", {})
    if "cpus" in limits:
        limits["cpus"] = str(limits["cpus"])
    missing = {source(secret) for secret in service.get("secrets", [])} - set(secrets)
    if missing:
        service["secrets"] = [secret for secret in service["secrets"] if source(secret) not in missing]
        service["environment"] = {key: value for key, value in service["environment"].items() if not str(value).startswith("/run/secrets/") or value[13:] not in missing}
    tmpfs = service.pop("tmpfs", [])
    mounts = [tmpfs_mount(entry) for entry in ([tmpfs] if isinstance(tmpfs, str) else tmpfs)]
    if mounts:
        service["volumes"] = service.get("volumes", []) + mounts
    if "ports" in service:
        service["ports"] = [host_port(port) for port in service["ports"]]
    # Addresses cannot be fixed in a swarm; no machine to lease is a service of it.
    service["networks"] = [network for network in service["networks"] if network != "workers"]
    # Each replica by its own address: Caddy balances, and sees who comes and goes.
    deploy["endpoint_mode"] = "dnsrr"
    if name in ("api", "scheduler"):
        # The new one first, so that nobody is missing.
        deploy["update_config"] = {"order": "start-first", "parallelism": 1, "failure_action": "rollback"}

# A volume of one machine's own would give each scheduler another store: without a network mount there are no checkpoints.
volumes = stack.get("volumes") or {}
if not (volumes.get("checkpoints") or {}).get("driver_opts"):
    services["scheduler"]["volumes"] = [v for v in services["scheduler"]["volumes"] if (v.split(":")[0] if isinstance(v, str) else v.get("source")) != "checkpoints"]
    for name in ("api", "scheduler"):
        for key in ("ORION_CHECKPOINT_DIR", "ORION_CHECKPOINT_KEY_FILE"):
            services[name]["environment"].pop(key, None)
    services["scheduler"]["secrets"] = [secret for secret in services["scheduler"]["secrets"] if source(secret) != "checkpoint_key"]

# Nobody but the services of this file is in the network.
services["api"]["environment"]["ORION_TRUST_PROXY"] = subnet
services["migrate"]["deploy"]["restart_policy"] = {"condition": "on-failure", "delay": "3s"}
for name in ("db", "autoscaler", "scale-driver", "caddy"):
    services[name]["deploy"]["placement"] = {"constraints": ["node.role == manager"]}
driver = services["scale-driver"]
groups = [str(group) for group in driver.pop("group_add", [])]
# A swarm knows no further groups: the socket's takes the place of the own one.
driver["user"] = f"10001:{(groups or ['0'])[0]}"
driver.setdefault("environment", {})["ORION_SCALE_DRIVER"] = "swarm"

# The Caddyfile goes along: the machine that Caddy comes to need not have it.
caddy = services["caddy"]
caddyfile = os.path.join(os.environ["PROJECT"], "Caddyfile")
caddy["volumes"] = [v for v in caddy["volumes"] if "Caddyfile" not in (v if isinstance(v, str) else v.get("source", ""))]
caddy["configs"] = [{"source": "caddyfile", "target": "/etc/caddy/Caddyfile"}]

used = {source(secret) for s in services.values() for secret in s.get("secrets", [])}
named = {v.split(":")[0] if isinstance(v, str) else v.get("source") for s in services.values() for v in s.get("volumes", [])}
print(yaml.safe_dump({
    "version": "3.8",
    "services": services,
    "networks": {
        "default": {**OVERLAY, "ipam": {"config": [{"subnet": subnet}]}},
        **{name: {**OVERLAY, "internal": bool(net.get("internal"))} for name, net in stack["networks"].items() if name not in ("default", "workers")},
    },
    "volumes": {name: {key: value for key, value in (volume or {}).items() if key != "name"} for name, volume in volumes.items() if name in named},
    "secrets": {name: secret for name, secret in secrets.items() if name in used},
    "configs": {"caddyfile": by_content("caddyfile", caddyfile)},
}, sort_keys=False), end="")
PYTHON
