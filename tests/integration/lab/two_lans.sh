#!/usr/bin/env bash
# A lab as a user has it: the checks of the examples, captures, traffic through the router VM, the engine killed under
# traffic, bad lab files. Usage: two_lans.sh PATCHBAY EXAMPLES
set -euo pipefail
patchbay=$1 examples=$2
source "$(dirname "$0")/lab.sh"
needs ping traceroute iperf3 tshark capinfos jq python3
[[ -w /dev/kvm ]] || { echo "SKIP: /dev/kvm is not usable, and the router is a VM"; exit 77; }

lab=$examples/two-lans.clab.yml
in_h1() { in_node h1 "$@"; }

check "the examples pass their own checks"
for example in two-lans bridge chain; do
  "$patchbay" test -t "$examples/$example.clab.yml" || fail "$example"
done

check "drawings of the lab"
"$patchbay" graph -t "$lab" --dot | grep -q '"h1" -- "r1" \[taillabel="eth1\\n10.0.1.2/24", headlabel="eth0"\];' || fail "graph --dot"
"$patchbay" graph -t "$lab" --mermaid | grep -q 'n1 ---|"eth1 10.0.1.2/24 — eth0"| n0' || fail "graph --mermaid"

check "10,000 pings through the router, none lost"
"$patchbay" deploy -t "$lab"
in_h1 ping -q -f -c 10000 10.0.2.2 | tee "$work/flood"
grep -q ' 0% packet loss' "$work/flood" || fail "pings were lost"
balanced

check "jumbo frames unfragmented, and the router in the path"
in_h1 ping -q -c 3 -i 0.2 -s 8972 -M do 10.0.2.2 | grep -q ' 0% packet loss' || fail "jumbo frames do not pass"
in_h1 traceroute -n -q 1 10.0.2.2 >"$work/route" || fail "no route"
grep -q '10.0.1.1' "$work/route" || fail "the router does not appear"

check "TCP and UDP"
"$patchbay" exec -t "$lab" --node h2 -- iperf3 --server --daemon
sleep 0.5
in_h1 iperf3 -c 10.0.2.2 -t 1 -J | jq -e '.end.sum_received.bytes > 10000000' >/dev/null || fail "TCP moved less than 10 MB"
in_h1 iperf3 -c 10.0.2.2 -t 1 -u -b 10M -l 1400 -J >"$work/udp"
# What the receiver's own socket buffer overflowed on a busy machine was not lost in the lab.
overflowed=$("$patchbay" exec -t "$lab" --node h2 -- nstat -asz UdpRcvbufErrors | awk '/UdpRcvbufErrors/ {print $2}')
jq -c .end.sum "$work/udp"
jq -e --argjson overflowed "$overflowed" '.end.sum.packets > 500 and .end.sum.lost_packets <= $overflowed' "$work/udp" >/dev/null ||
  fail "UDP datagrams were lost in the lab ($overflowed at the receiver's socket)"
balanced

check "a filtered capture of both directions, readable while and after it runs"
"$patchbay" capture -t "$lab" r1:eth0 -f icmp -c 8 -w "$work/ping.pcapng" &
capture=$!
sleep 0.5
in_h1 ping -q -c 4 -i 0.2 10.0.2.2 >/dev/null
wait "$capture" || fail "the capture ended with $?"
[[ $(tshark -r "$work/ping.pcapng" -Y 'icmp.type == 8' 2>/dev/null | wc -l) -eq 4 ]] || fail "4 requests expected"
[[ $(tshark -r "$work/ping.pcapng" -Y 'icmp.type == 0' 2>/dev/null | wc -l) -eq 4 ]] || fail "4 replies expected"

check "TCP that its sender leaves to be segmented, as a wire carries it"
"$patchbay" capture -t "$lab" r1:eth0 -f tcp -c 3000 -w "$work/tcp.pcapng" &
capture=$!
sleep 0.5
in_h1 iperf3 -c 10.0.2.2 -n 40M >/dev/null
wait "$capture" || fail "the capture ended with $?"
# Numbers only: a summary can have a line break where random payload looks like a protocol with text.
checked=(tshark -r "$work/tcp.pcapng" -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -T fields -e frame.number)
[[ $("${checked[@]}" -Y 'tcp.checksum.status == 1 && ip.checksum.status == 1' 2>/dev/null | wc -l) -eq 3000 ]] || {
  "${checked[@]}" -e tcp.checksum.status -e ip.checksum.status -Y '!(tcp.checksum.status == 1 && ip.checksum.status == 1)' | head
  fail "checksums are wrong in the capture"
}
[[ $("${checked[@]}" -Y 'frame.len > 9514' 2>/dev/null | wc -l) -eq 0 ]] || fail "frames beyond the MTU in the capture"
[[ $("${checked[@]}" -Y 'frame.len > 9000' 2>/dev/null | wc -l) -gt 100 ]] || fail "few full frames in the capture"
balanced

check "the router's console answers commands"
"$patchbay" exec -t "$lab" --node r1 -- show ip route | grep -q '10.0.2.0/24 is directly connected, eth1' ||
  fail "show ip route"

# A command for a router that does not run fails at once, and says what helps.
refuses_commands() {
  status=0
  timeout 20 "$patchbay" exec -t "$lab" --node r1 -- show interface 2>"$work/errors" || status=$?
  [[ $status -eq 1 ]] && grep -q "is $1, not running; patchbay power $2 r1" "$work/errors" ||
    fail "exec in a router that is $1: exit status $status, $(cat "$work/errors")"
}

check "the router's power switch: paused, resumed, asked to go off, on again, reset"
state() { listing -r '.nodes[] | select(.name == "r1") | .state'; }
reaches() { in_h1 ping -q -c 1 -W 1 10.0.2.2 >/dev/null; }
refused() {  # verb, then arguments with each of which it must end with status 2
  local verb=$1 wrong status
  for wrong in "${@:2}"; do
    status=0
    # shellcheck disable=SC2086
    "$patchbay" "$verb" -t "$lab" $wrong 2>"$work/errors" || status=$?
    cat "$work/errors"
    [[ $status -eq 2 ]] || fail "$verb $wrong: exit status $status instead of 2"
  done
}
comes_back() { for _ in $(seq 20); do ! reaches || return 0; done; fail "$1"; }
"$patchbay" power pause -t "$lab" r1
[[ $(state) == paused ]] && ! reaches || fail "a paused router still forwards"
refuses_commands paused resume
"$patchbay" power resume -t "$lab" r1 && comes_back "a resumed router does not forward"
[[ $("$patchbay" power off -t "$lab" r1) == "node r1 is off" ]] || fail "it did not switch itself off"
[[ $(state) == off ]] && ! reaches || fail "a router that is off still forwards"
refuses_commands off on
"$patchbay" power on -t "$lab" r1 && comes_back "a router that is on again does not forward"
"$patchbay" power reset -t "$lab" r1 && comes_back "a router that was reset does not forward"
refused power "on r1" "resume r1" "off h1" "off r9"
balanced

check "a cable unplugged at one end of a wire: no carrier at both, frames counted as dropped; plugged in again"
carrier() { in_h1 cat /sys/class/net/eth1/carrier; }
[[ $("$patchbay" link down -t "$lab" r1:eth0) == "link end r1:eth0 is down" ]] || fail "link down"
[[ $(carrier) == 0 ]] || fail "h1 still has a carrier"
router_lost_it() { [[ $("$patchbay" exec -t "$lab" --node r1 -- show interface) == *'eth0 is up, line protocol is down'* ]]; }
for _ in $(seq 50); do  # the guest looks now and then
  ! router_lost_it || break
  sleep 0.1
done
router_lost_it || fail "the router still has a carrier"
! reaches || fail "a link that is down carries frames"
"$patchbay" link up -t "$lab" r1:eth0 >/dev/null && comes_back "a link that is up again carries none"
[[ $(carrier) == 1 ]] || fail "h1 has no carrier"
refused link "down r1:eth9" "sideways r1:eth0"
balanced

check "a client that is gone before its capture begins leaves the link end free"
python3 - /run/patchbay/two-lans/control.sock <<'CLIENT'
import socket
import sys

client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.shutdown(socket.SHUT_RD)  # the answer cannot be written
client.sendall(b'{"id": 1, "verb": "capture", "args": {"ports": ["r1:eth0"]}}\n')
client.shutdown(socket.SHUT_WR)
CLIENT
captured() { listing '[.segments[].ports[] | select(.captured)] | length'; }
for _ in $(seq 50); do
  [[ $(captured) -ne 0 ]] || break
  sleep 0.1
done
[[ $(captured) -eq 0 ]] || fail "r1:eth0 is still captured"

check "the engine killed under traffic and a capture: readable file, nothing left, deploys again"
"$patchbay" capture -t "$lab" r1:eth0 r1:eth1 -w "$work/killed.pcapng" 2>/dev/null &
capture=$!
in_h1 ping -q -f -c 100000 10.0.2.2 >/dev/null 2>&1 &
flood=$!
for _ in $(seq 100); do
  [[ $(stat -c %s "$work/killed.pcapng" 2>/dev/null || echo 0) -lt 100000 ]] || break
  sleep 0.1
done
kill -KILL "$(cat /run/patchbay/two-lans/pid)"
wait "$flood" || true
wait "$capture" && fail "a capture that lost its engine must not report success"
capinfos "$work/killed.pcapng" >/dev/null || fail "the capture is not readable"
[[ $(tshark -r "$work/killed.pcapng" 2>/dev/null | wc -l) -gt 100 ]] || fail "the capture is nearly empty"
"$patchbay" destroy -t "$lab"
[[ ! -e /run/patchbay/two-lans ]] || fail "the run directory is left"
[[ -z $(find /run/netns -name '*two-lans*' 2>/dev/null) ]] || fail "namespace links are left"
! grep -q two-lans /proc/mounts || fail "mounts are left"
"$patchbay" deploy -t "$lab" && in_h1 ping -q -c 1 10.0.2.2 >/dev/null || fail "the lab does not come up again"
"$patchbay" destroy -t "$lab"

check "bad lab files: line and column, status 2, nothing created"
cat >"$work/bad.clab.yml" <<'LAB'
name: bad
topology:
  nodes:
    a: {kind: linux, imagee: x}
    a: {kind: linux}
  links:
    - {endpoints: ["a:e1", "b:e1"]}
LAB
status=0
"$patchbay" deploy -t "$work/bad.clab.yml" 2>"$work/errors" || status=$?
cat "$work/errors"
[[ $status -eq 2 ]] || fail "exit status $status instead of 2"
grep -q "bad.clab.yml:4:22: error: .*imagee" "$work/errors" || fail "the unknown key is not reported in its place"
grep -q "bad.clab.yml:5:5: error: " "$work/errors" || fail "the duplicate key is not reported in its place"
[[ ! -e /run/patchbay/bad ]] || fail "something was created"

check "without KVM a router is refused at once"
status=0
PATCHBAY_KVM_DEVICE=/dev/absent "$patchbay" deploy -t "$lab" 2>"$work/errors" || status=$?
cat "$work/errors"
[[ $status -eq 1 ]] && grep -q "needs KVM" "$work/errors" || fail "no clear refusal"
if ! "$patchbay" doctor | grep -q 'KVM .*hardware virtualization'; then
  check "where an operating system's kernel would crawl, a vm needs QEMU, or is refused at once"
  printf '\x7fELF' >"$work/kernel"
  printf 'name: crawl\ntopology: {nodes: {v1: {kind: vm, image: kernel}}}\n' >"$work/crawl.clab.yml"
  status=0
  PATCHBAY_QEMU=/absent "$patchbay" deploy -t "$work/crawl.clab.yml" 2>"$work/errors" || status=$?
  cat "$work/errors"
  [[ $status -eq 1 ]] && grep -q "apt-get install qemu-system-x86" "$work/errors" || fail "no clear refusal without QEMU"
  sed -i 's/image: kernel/image: kernel, config: {vars: {patchbay: {engine: kvm}}}/' "$work/crawl.clab.yml"
  status=0
  "$patchbay" deploy -t "$work/crawl.clab.yml" 2>"$work/errors" || status=$?
  cat "$work/errors"
  [[ $status -eq 1 ]] && grep -q "Leave 'engine: kvm' out" "$work/errors" || fail "no clear refusal of KVM"
  [[ ! -e /run/patchbay/crawl ]] || fail "something was created"
fi
echo "passed"
