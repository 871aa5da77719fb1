#!/usr/bin/env bash
# The whole proof, from a fresh machine: installs what is missing, checks types and style, runs every test on real servers,
# measures line coverage over tests and child processes, runs the unit tests and the demo once more on the Node.js of node-runtime.json,
# runs the short form of the chaos runs, and last what runs in containers, on a Docker engine of its own. The last line is
# `N passed, N failed`. Must run as root. Usage: scripts/test.sh [jest arguments]
# ORION_COVERAGE_MIN sets the least coverage in percent (90), ORION_CAMPAIGN_SEED what is left to chance in the chaos runs (1);
# ORION_CONTAINERS=no leaves the containers out.
set -uo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." || exit 1
FAILED=0
JEST='' GUARD='' DEMO_PASSED=0 DEMO_FAILED=0
CHAOS_SEED=${ORION_CAMPAIGN_SEED:-1} CHAOS_REPORT=''
SECOND_NODE='' SECOND_REPORT=''
RUN=$(mktemp -d "${TMPDIR:-/tmp}/orion-test-XXXXXX")
# Servers that run as a user of their own go through it to their files.
chmod 711 -- "$RUN"
ENGINE=$RUN/docker ENGINE_RUNS=0 CONTAINERS_REPORT=''

# All that tests make lies in RUN. The guards of labs end what a killed test left running; then the folder may go.
clean_up() {
  trap '' INT TERM HUP
  if [[ -n $JEST ]]; then
    kill -TERM -- "-$JEST" 2>/dev/null && sleep 1
    kill -KILL -- "-$JEST" 2>/dev/null
  fi
  ((!ENGINE_RUNS)) || scripts/docker-engine.sh stop "$ENGINE"
  local i
  for ((i = 0; i < 150; i++)); do
    compgen -G "$RUN/orion-lab-*" >/dev/null || break
    sleep 0.2
  done
  rm -rf -- "$RUN"
  [[ -z $GUARD ]] || kill "$GUARD" 2>/dev/null
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

stage() {
  local name=$1 began=$SECONDS
  shift
  printf '== %s\n' "$name"
  if "$@"; then printf '== %s: ok (%d s)\n' "$name" $((SECONDS - began)); else
    printf '== %s: FAILED (%d s)\n' "$name" $((SECONDS - began))
    FAILED=1
    return 1
  fi
}

# For when this script is killed outright: see reap.sh. Its start time is the 22nd field of stat, counted after the name.
start_guard() {
  local stat fields
  IFS= read -r stat <"/proc/$$/stat"
  read -ra fields <<<"${stat##*) }"
  printf 'dir\t%s\n' "$RUN" >"$RUN/guard.list"
  setsid bash scripts/lib/reap.sh "$$" "${fields[19]}" "$RUN/guard.list" </dev/null >/dev/null 2>&1 &
  GUARD=$!
}

# In a process group of its own, in the background, so that a signal to this script is acted on at once and reaches all of it.
in_group() {
  TMPDIR=$RUN setsid setpriv --pdeathsig KILL "$@" &
  JEST=$!
  wait "$JEST"
  local status=$?
  JEST=''
  return $status
}

jest() {
  NODE_OPTIONS=--experimental-vm-modules NODE_NO_WARNINGS=1 in_group node node_modules/jest/bin/jest.js --ci "$@"
}

tests() {
  ORION_CHILD_COVERAGE=$RUN/v8 jest --maxWorkers=2 --coverage --coverageDirectory="$RUN/coverage" \
    --json --outputFile="$RUN/jest.json" "$@" >"$RUN/jest.out"
}

# Configuration, rules, their cases, and the queries of the dashboards, with the programs that will read them.
alerts() {
  promtool check config docker/monitoring/prometheus.yml && promtool test rules docker/monitoring/alerts.test.yml &&
    amtool check-config docker/monitoring/alertmanager.yml &&
    node --import tsx scripts/dashboards.ts --rules >"$RUN/panels.yml" && promtool check rules "$RUN/panels.yml"
}

# The whole scenario on real servers: it counts as one test more.
demo() {
  if in_group scripts/demo.sh "$@"; then ((++DEMO_PASSED)); else ((++DEMO_FAILED)); return 1; fi
}

# Its folder is on the PATH of these stages alone. The native addon of ssh2 in node_modules is made for the first Node.js; here ssh2 works without.
find_second_node() { SECOND_NODE=$(node scripts/node-runtime.mjs) && "$SECOND_NODE/bin/node" --version; }

unit_tests_on_second_node() {
  SECOND_REPORT=$RUN/second.json
  PATH=$SECOND_NODE/bin:$PATH jest --maxWorkers=2 --selectProjects unit --json --outputFile="$SECOND_REPORT" >"$RUN/second.out"
}

demo_on_second_node() { PATH=$SECOND_NODE/bin:$PATH demo; }

# An engine of its own, with the images. Where that cannot be had, the containers are not tested, and everybody is to see it.
open_engine() {
  printf 'engine\t%s\n' "$ENGINE" >>"$RUN/guard.list"
  if [[ ${ORION_CONTAINERS:-yes} != no ]] && scripts/install-deps.sh --docker && scripts/docker-engine.sh start "$ENGINE"; then
    ENGINE_RUNS=1
    export DOCKER_HOST=unix://$ENGINE/docker.sock
    if scripts/make-base-images.sh && scripts/build-images.sh >"$RUN/build.log" 2>&1; then return; fi
    tail -n 30 -- "$RUN/build.log"
  fi
  printf '!! THE CONTAINERS ARE NOT TESTED: no Docker engine can be started here, no image be built, or ORION_CONTAINERS=no\n'
  export ORION_COVERAGE_WITHOUT='^src/(roles/(autoscaler|scale-driver)|modules/scaling/(engine|drivers/))'
  return 1
}

containers() {
  CONTAINERS_REPORT=$RUN/containers.json
  ORION_TEST_DOCKER_HOST=$DOCKER_HOST ORION_CHILD_COVERAGE=$RUN/v8 jest --runInBand --selectProjects containers \
    --coverage --coverageDirectory="$RUN/coverage-containers" --json --outputFile="$CONTAINERS_REPORT" >"$RUN/containers.out"
}

# A short chaos run: each scenario counts as one more test.
chaos() {
  NODE_NO_WARNINGS=1 in_group node --import tsx test/chaos/main.ts --short --seed "$CHAOS_SEED" --json "$RUN/chaos.json"
}

# A suite that could not be loaded has no tests to count, yet it failed.
summary() {
  node -e '
    const read = (file) => JSON.parse(require("fs").readFileSync(file, "utf8"));
    const [demoPassed, demoFailed, chaos, ...reports] = process.argv.slice(1);
    const scenarios = chaos ? read(chaos).scenarios : [];
    const broken = scenarios.filter(({ violations }) => violations.length > 0).length;
    const runs = reports.filter(Boolean).map(read);
    const sum = (...names) => runs.reduce((total, run) => names.reduce((subtotal, name) => subtotal + run[name], total), 0);
    const skipped = sum("numPendingTests", "numTodoTests");
    const passed = sum("numPassedTests") + Number(demoPassed) + scenarios.length - broken;
    const failed = sum("numFailedTests", "numRuntimeErrorTestSuites") + Number(demoFailed) + broken;
    console.log(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ""}`);
  ' "$DEMO_PASSED" "$DEMO_FAILED" "$CHAOS_REPORT" "$RUN/jest.json" "$SECOND_REPORT" "$CONTAINERS_REPORT" 2>/dev/null || printf '0 passed, 1 failed\n'
}

mkdir -- "$RUN/v8"
start_guard
if ((EUID != 0)); then
  printf 'test.sh: must run as root: tests start namespaces, sshd and MariaDB of their own\n' >&2
  FAILED=1
elif stage 'install' scripts/install-deps.sh; then
  stage 'types' npm run --silent typecheck
  stage 'lint' npm run --silent lint
  stage 'docs' npm run --silent docs:check
  stage 'alerts' alerts
  stage 'tests' tests "$@"
  if ((!$#)); then
    stage 'demo' demo
    if stage 'second Node' find_second_node; then
      stage 'unit tests on the second Node' unit_tests_on_second_node
      stage 'demo on the second Node' demo_on_second_node
    fi
    CHAOS_REPORT=$RUN/chaos.json
    stage 'chaos' chaos
    if open_engine; then
      stage 'containers' containers
      stage 'demo in containers' demo --docker
    fi
  fi
  stage 'coverage' node scripts/coverage.mjs "$RUN/v8" "$RUN"/coverage*/coverage-final.json
fi
summary
exit "$FAILED"
