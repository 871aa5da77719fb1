#!/usr/bin/env bash
# The whole proof, from a fresh machine: installs what is missing, checks types and style, runs every test on real servers,
# measures line coverage over tests and child processes, and runs the short form of the campaigns. The last line is `N passed, N failed`.
# Must run as root. Usage: scripts/test.sh [jest arguments]
# ORION_COVERAGE_MIN sets the least coverage in percent (90), ORION_CAMPAIGN_SEED what is left to chance in the campaigns (1).
set -uo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." || exit 1
FAILED=0
JEST='' GUARD='' DEMO_PASSED=0 DEMO_FAILED=0
CAMPAIGN_SEED=${ORION_CAMPAIGN_SEED:-1} CAMPAIGN_REPORT=''
RUN=$(mktemp -d "${TMPDIR:-/tmp}/orion-test-XXXXXX")

# All that tests make lies in RUN. The guards of labs end what a killed test left running; then the folder may go.
clean_up() {
  trap '' INT TERM HUP
  if [[ -n $JEST ]]; then
    kill -TERM -- "-$JEST" 2>/dev/null && sleep 1
    kill -KILL -- "-$JEST" 2>/dev/null
  fi
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
tests() {
  TMPDIR=$RUN ORION_CHILD_COVERAGE=$RUN/v8 NODE_OPTIONS=--experimental-vm-modules NODE_NO_WARNINGS=1 \
    setsid setpriv --pdeathsig KILL node node_modules/jest/bin/jest.js --ci --maxWorkers=2 --coverage --coverageDirectory="$RUN/coverage" \
    --json --outputFile="$RUN/jest.json" "$@" >"$RUN/jest.out" &
  JEST=$!
  wait "$JEST"
  local status=$?
  JEST=''
  return $status
}

# The whole scenario on real servers: it counts as one test more. In the background for the same reason.
demo() {
  TMPDIR=$RUN setsid setpriv --pdeathsig KILL scripts/demo.sh &
  JEST=$!
  wait "$JEST"
  local status=$?
  JEST=''
  if ((status == 0)); then DEMO_PASSED=1; else DEMO_FAILED=1; fi
  return $status
}

# The short form of every campaign: each scenario counts as one test more.
campaign() {
  TMPDIR=$RUN NODE_NO_WARNINGS=1 setsid setpriv --pdeathsig KILL node --import tsx test/campaign/main.ts --short --seed "$CAMPAIGN_SEED" --json "$RUN/campaign.json" &
  JEST=$!
  wait "$JEST"
  local status=$?
  JEST=''
  return $status
}

# A suite that could not be loaded has no tests to count, yet it failed.
summary() {
  node -e '
    const read = (file) => JSON.parse(require("fs").readFileSync(file, "utf8"));
    const [r, demoPassed, demoFailed] = [read(process.argv[1]), Number(process.argv[2]), Number(process.argv[3])];
    const scenarios = process.argv[4] ? read(process.argv[4]).scenarios : [];
    const broken = scenarios.filter(({ violations }) => violations.length > 0).length;
    const skipped = r.numPendingTests + r.numTodoTests;
    const passed = r.numPassedTests + demoPassed + scenarios.length - broken;
    const failed = r.numFailedTests + r.numRuntimeErrorTestSuites + demoFailed + broken;
    console.log(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ""}`);
  ' "$RUN/jest.json" "$DEMO_PASSED" "$DEMO_FAILED" "$CAMPAIGN_REPORT" 2>/dev/null || printf '0 passed, 1 failed\n'
}

mkdir -- "$RUN/v8"
start_guard
if ((EUID != 0)); then
  printf 'test.sh: must run as root: tests start namespaces, sshd and MariaDB of their own\n' >&2
  FAILED=1
elif stage 'install' scripts/install-deps.sh; then
  stage 'types' npm run --silent typecheck
  stage 'lint' npm run --silent lint
  stage 'docs' npx --no-install tsx scripts/api-doc.ts --check
  stage 'tests' tests "$@"
  if ((!$#)); then
    stage 'demo' demo
    CAMPAIGN_REPORT=$RUN/campaign.json
    stage 'campaign' campaign
  fi
  stage 'coverage' node scripts/coverage.mjs "$RUN/coverage/coverage-final.json" "$RUN/v8"
fi
summary
exit "$FAILED"
