#!/usr/bin/env bash
# Fifty routers in a row: up and answering end to end soon, at rest when idle, gone soon. What is asserted is processor
# time and what threads did, which a busy machine does not change, and times with much slack. Usage: scale.sh PATCHBAY MAKE_LAB
set -euo pipefail
patchbay=$1 make_lab=$2
source "$(dirname "$0")/lab.sh"
needs ping jq python3
[[ -w /dev/kvm ]] || { echo "SKIP: /dev/kvm is not usable, and routers are VMs"; exit 77; }

name=row$$
lab=$work/$name.clab.yml
milliseconds() { echo $(( $(date +%s%N) / 1000000 )); }
# Of the engine, all threads: processor time in ticks, and times that a thread went to sleep.
ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; }
sleeps() { cat /proc/"$1"/task/*/status | awk '/^voluntary_ctxt_switches/ { n += $2 } END { print n }'; }
hertz=$(getconf CLK_TCK)

ulimit -S -n 256  # too few for fifty routers: the EAL raises it

check "50 routers are up and forward"
"$make_lab" "$name" 50 >"$lab"
start=$(milliseconds)
"$patchbay" deploy -t "$lab"
up=$(milliseconds)
# The first ping waits for fifty routers to find their neighbours.
in_node c0a ping -n -c 1 -W 10 172.17.0.2 | grep 'ttl=14' || fail "no answer through 50 routers"
answered=$(milliseconds)
echo "deployed in $((up - start)) ms, answered after another $((answered - up)) ms"
[[ $((answered - up)) -lt 10000 ]] || fail "the first ping took more than 10 s"

check "idle: under 3 % of a processor, and asleep"
pid=$(cat "/run/patchbay/$name/pid")
sleep 2  # what the kernel's interfaces announce when they come up is over
quiet=
for attempt in 1 2 3; do
  ticks_before=$(ticks "$pid") sleeps_before=$(sleeps "$pid")
  sleep 4
  used=$(( ($(ticks "$pid") - ticks_before) * 1000 / hertz )) slept=$(( $(sleeps "$pid") - sleeps_before ))
  echo "in 4 s: $used ms of processor time, $slept times asleep"
  # IPv6 router solicitations of the hosts come by now and then; a second look tells.
  if [[ $used -lt 120 && $slept -lt 2000 ]]; then quiet=1; break; fi
done
[[ -n $quiet ]] || fail "the idle lab is busy"

check "awake at once, and nothing was lost"
in_node c0a ping -q -n -c 100 -i 0.002 172.17.0.2 | tee "$work/ping"
grep -q ' 0% packet loss' "$work/ping" || fail "pings were lost"
balanced

check "gone"
start=$(milliseconds)
"$patchbay" destroy --name "$name"
echo "destroyed in $(( $(milliseconds) - start )) ms"
[[ ! -e /run/patchbay/$name ]] || fail "the run directory is left"
# Its parent is gone, so how soon an ended engine disappears from /proc is up to the machine's init.
[[ ! -d /proc/$pid ]] || grep -q '^State:.Z' "/proc/$pid/status" || fail "the engine is left"
echo "passed"
