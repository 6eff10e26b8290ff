#!/usr/bin/env bash
# Several workers on one bridge, with real hosts: traffic between four of them at once, captures and links switched
# meanwhile; counters balance. Usage: workers.sh PATCHBAY
set -euo pipefail
patchbay=$1
source "$(dirname "$0")/lab.sh"
needs ping iperf3 jq

lab=$work/workers.clab.yml
cat >"$lab" <<'LAB'
name: workers
topology:
  nodes:
    sw: {kind: bridge}
    h1: {kind: linux}
    h2: {kind: linux}
    h3: {kind: linux}
    h4: {kind: linux}
  links:
    - {endpoints: ["h1:eth1", "sw:p1"], ipv4: [10.0.0.1/24, ""]}
    - {endpoints: ["h2:eth1", "sw:p2"], ipv4: [10.0.0.2/24, ""]}
    - {endpoints: ["h3:eth1", "sw:p3"], ipv4: [10.0.0.3/24, ""]}
    - {endpoints: ["h4:eth1", "sw:p4"], ipv4: [10.0.0.4/24, ""]}
LAB

check "numbers of workers that make no sense"
for number in 0 17 -1 many; do
  status=0
  "$patchbay" deploy -t "$lab" --workers "$number" 2>"$work/error" || status=$?
  [[ $status -eq 2 ]] || fail "--workers $number: exit status $status, not 2: $(cat "$work/error")"
done

"$patchbay" deploy -t "$lab" --workers 3
engine_threads() { cat /proc/"$(cat /run/patchbay/workers/pid)"/task/*/comm; }
[[ $(engine_threads | grep -c '^switch-') -eq 3 ]] || fail "not three workers: $(engine_threads)"

check "everybody reaches everybody"
for from in 1 2 3 4; do
  for to in 1 2 3 4; do
    [[ $from -eq $to ]] || in_node "h$from" ping -q -c 2 -i 0.01 -W 2 "10.0.0.$to" >/dev/null || fail "h$from does not reach h$to"
  done
done
balanced

check "streams from three hosts to one, captures and a link going down and up meanwhile"
for port in 5201 5202 5203; do in_node h1 iperf3 -s -1 -D -p "$port"; done
sleep 0.3
streams=()
for host in 2 3 4; do
  in_node "h$host" iperf3 -c 10.0.0.1 -p $((5199 + host)) -t 4 -J >"$work/h$host.json" 2>&1 &
  streams+=($!)
done
for round in 1 2 3; do
  "$patchbay" capture -t "$lab" h1:eth1 --count 200 -w "$work/$round.pcapng" 2>/dev/null || fail "no capture under traffic"
  "$patchbay" link down -t "$lab" h4:eth1
  "$patchbay" link up -t "$lab" h4:eth1
  balanced
done
for stream in "${streams[@]}"; do wait "$stream" || fail "iperf3: $(cat "$work"/h*.json | jq -r '.error // empty')"; done
for host in 2 3 4; do
  rate=$(jq '.end.sum_received.bits_per_second / 1e6 | floor' "$work/h$host.json")
  echo "   h$host: $rate Mbit/s"
  [[ $rate -gt 0 ]] || fail "h$host got nothing through"
done
balanced
"$patchbay" destroy -t "$lab"
