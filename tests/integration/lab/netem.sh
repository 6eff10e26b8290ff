#!/usr/bin/env bash
# Impaired links between real hosts: delay, loss and rate as ping and iperf3 see them, from the lab file and changed
# while the lab is up; bad input. Usage: netem.sh PATCHBAY EXAMPLES
set -euo pipefail
patchbay=$1 examples=$2
source "$(dirname "$0")/lab.sh"
needs ping iperf3 jq awk

lab=$work/netem.clab.yml
cat >"$lab" <<'LAB'
name: netem
topology:
  nodes:
    sw: {kind: bridge}
    h1: {kind: linux}
    h2: {kind: linux}
    h3: {kind: linux}
  links:
    - endpoints: ["h1:eth1", "h2:eth1"]
      ipv4: [10.0.1.1/24, 10.0.1.2/24]
      mtu: 1500
      vars: {patchbay: {netem: {a-to-z: {delay: 10ms}, z-to-a: {delay: 10ms}}}}
    - {endpoints: ["h1:eth2", "sw:p1"], ipv4: [10.0.2.1/24, ""], mtu: 1500}
    - {endpoints: ["h3:eth1", "sw:p2"], ipv4: [10.0.2.3/24, ""], mtu: 1500, vars: {patchbay: {netem: {a-to-z: {delay: 5ms}}}}}
LAB

in_h1() { in_node h1 "$@"; }
netem() { local action=$1; shift; "$patchbay" netem "$action" -t "$lab" "$@"; }
# Least and average round trip in ms; the average of a busy machine may be anything.
round_trip() { in_h1 ping -q -c "${2:-20}" -i 0.02 "$1" | awk -F'[ /]' '/^rtt/ {print $7, $8}'; }
between() { awk -v low="$1" -v value="$2" -v high="$3" 'BEGIN {exit !(value >= low && value <= high)}'; }
expect_round_trip() {  # ADDRESS LOW HIGH
  local least average
  read -r least average < <(round_trip "$1")
  echo "   $1: least $least ms, average $average ms"
  between "$2" "$least" "$3" || fail "the round trip to $1 takes $least ms, not $2 to $3"
}
counter() { listing "[.segments[].ports[] | select(.name == \"$1\")][0].$2 // 0"; }

"$patchbay" deploy -t "$lab"

check "the lab file's delays add up, and a bridge's links can be impaired"
expect_round_trip 10.0.1.2 20 25
expect_round_trip 10.0.2.3 5 10
balanced

check "netem show"
netem show | tee "$work/shown"
grep -Eq '^h1 +eth1 +10ms +- ' "$work/shown" || fail "the table lacks h1:eth1"
netem show -n h3 --format json >"$work/shown"
[[ $(jq '.interfaces | length' "$work/shown") -eq 1 && $(jq '.interfaces[0].delay_us' "$work/shown") -eq 5000 ]] ||
  fail "the listing of h3 is wrong"

check "set while the lab is up replaces what was set; reset takes it away"
netem set -n h2 -i eth1 --delay 30ms
expect_round_trip 10.0.1.2 40 45
netem reset -n h1 -i eth1
expect_round_trip 10.0.1.2 30 35
netem reset -n h2 -i eth1
expect_round_trip 10.0.1.2 0 5
[[ $(netem show --format json | jq '[.interfaces[] | select(.delay_us != 0)] | length') -eq 1 ]] || fail "not reset"
balanced

check "no ping is lost while settings change under traffic"
in_h1 ping -q -i 0.002 -c 1000 10.0.1.2 >"$work/changing" &
pings=$!
for delay in 1ms 20ms 5ms; do
  netem set -n h1 -i eth1 --delay "$delay" >/dev/null
  sleep 0.2
  netem reset -n h1 -i eth1 >/dev/null
  sleep 0.2
done
wait "$pings" || fail "ping failed"
grep -q ' 0% packet loss' "$work/changing" || fail "$(cat "$work/changing")"
balanced

check "10 % loss, counted as such"
before=$(counter h1:eth1 in.dropped.impairment_loss)
netem set -n h1 -i eth1 --loss 10%
in_h1 ping -q -i 0.002 -c 2000 10.0.1.2 >"$work/loss" || true
lost=$(awk '/transmitted/ {print $1 - $4}' "$work/loss")
dropped=$(($(counter h1:eth1 in.dropped.impairment_loss) - before))
echo "   $lost of 2000 pings lost, $dropped frames counted as lost"
between 130 "$lost" 270 || fail "$lost pings of 2000 lost"
[[ $dropped -ge $lost && $dropped -le $((lost + 20)) ]] || fail "$dropped frames counted for $lost lost pings"
balanced

check "duplicates, and corrupt frames that no receiver believes"
netem set -n h1 -i eth1 --duplicate 100%
in_h1 ping -c 5 -i 0.05 10.0.1.2 >"$work/duplicates"
grep -q 'DUP!' "$work/duplicates" || fail "no duplicates"
netem set -n h1 -i eth1 --corruption 100%
in_h1 ping -q -c 50 -i 0.02 -W 1 10.0.1.2 >"$work/corrupt" || true
# Nothing protects the sender's MAC address, 48 of 784 bits.
[[ $(awk '/transmitted/ {print $4}' "$work/corrupt") -le 15 ]] || fail "corrupt frames were believed: $(cat "$work/corrupt")"
netem reset -n h1 -i eth1
balanced

in_node h2 iperf3 --server --daemon
sleep 0.5
for rate in 10 200; do
  check "TCP fills a wire of $rate Mbit/s, and no more"
  netem set -n h1 -i eth1 --rate "${rate}mbit"
  in_h1 iperf3 -c 10.0.1.2 -t 5 -O 1 -J >"$work/tcp"
  # What arrives is payload: 1448 bytes of the 1514 that the rate counts.
  mbits=$(jq '.end.sum_received.bits_per_second / 1e6' "$work/tcp")
  share=$(awk -v got="$mbits" -v rate="$rate" 'BEGIN {printf "%.1f", got / rate * 1514 / 1448 * 100}')
  echo "   $mbits Mbit/s of payload, $share % of the rate"
  between 90 "$share" 101 || fail "$share % of $rate Mbit/s"
done
balanced

check "what does not fit the queue is dropped and counted"
netem set -n h1 -i eth1 --rate 10mbit
in_h1 iperf3 -c 10.0.1.2 -u -b 50M -l 1400 -t 3 >/dev/null
[[ $(counter h1:eth1 in.dropped.impairment_queue) -gt 1000 ]] || fail "nothing was dropped by the queue"
netem reset -n h1 -i eth1
balanced

check "an impaired lab without traffic needs no processor"
netem set -n h1 -i eth1 --delay 10ms --rate 10mbit
ticks() { awk '{print $14 + $15}' "/proc/$(cat /run/patchbay/netem/pid)/stat"; }
sleep 1
before=$(ticks)
sleep 3
used=$(($(ticks) - before))
echo "   $used ticks of 10 ms in 3 s"
[[ $used -le 15 ]] || fail "the idle engine used $used ticks of 10 ms in 3 s"

check "bad input: status 2, and nothing changes"
refused() {  # WORDS ARGUMENTS...: an error with these words
  local words=$1 status=0
  shift
  "$patchbay" netem "$@" 2>"$work/errors" || status=$?
  sed 's/^/   /' "$work/errors"
  [[ $status -eq 2 ]] || fail "netem $*: exit status $status instead of 2"
  grep -q -- "$words" "$work/errors" || fail "netem $*: the error does not say '$words'"
}
refused "'fast' is not a duration" set -t "$lab" -n h1 -i eth1 --delay fast
refused "'1000' is not a rate" set -t "$lab" -n h1 -i eth1 --rate 1000
refused "'101' is not a percentage" set -t "$lab" -n h1 -i eth1 --loss 101
refused "the jitter is larger than the delay" set -t "$lab" -n h1 -i eth1 --jitter 1ms
refused "reordering needs a delay" set -t "$lab" -n h1 -i eth1 --reorder 1
refused "no impairment to set" set -t "$lab" -n h1 -i eth1
refused "has no link end 'h1:eth9'" reset -t "$lab" -n h1 -i eth9
refused "has no node 'h9'" show -t "$lab" -n h9
refused "what leaves the bridge port sw:p1 cannot be impaired" set -t "$lab" -n sw -i p1 --delay 1ms
refused "not expected" show -t "$lab" --frobnicate
[[ $(netem show -n h1 --format json | jq '.interfaces[0].delay_us') -eq 10000 ]] || fail "a refused setting had an effect"
"$patchbay" destroy -t "$lab"
sed -i 's/z-to-a: {delay: 10ms}/z-to-a: {delay: 10}/; s/netem: {a-to-z: {delay: 5ms}}/netem: {z-to-a: {delay: 5ms}}/' "$lab"
status=0
"$patchbay" deploy -t "$lab" 2>"$work/errors" || status=$?
sed 's/^/   /' "$work/errors"
[[ $status -eq 2 ]] && grep -q ':14:111: error: what leaves the bridge port sw:p2 cannot be impaired' "$work/errors" ||
  fail "a bridge that shall impair is not refused"

if [[ -w /dev/kvm ]]; then
  check "the example with two sites passes its own checks"
  "$patchbay" test -t "$examples/wan.clab.yml" || fail "wan"
else
  echo "-- not checked: the example with two sites, as /dev/kvm is not usable and its routers are VMs"
fi
echo "passed"
