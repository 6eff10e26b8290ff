#!/usr/bin/env bash
# A lab that meets a network of the host through DPDK's af_packet driver: ping, VLANs, TCP, a capture; the interface is left
# as it was. Then that capture is replayed into another lab, which records what comes back.
# Usage: ethdev.sh PATCHBAY
set -euo pipefail
patchbay=$1
. "$(dirname "$0")/lab.sh"
needs ping iperf3 jq tshark ethtool python3
inside=pbt$$i outside=pbt$$o peer=patchbay-peer-$$
servers=()
clean_up() {
  [[ -z $lab ]] || "$patchbay" destroy -t "$lab" >/dev/null 2>&1 || true
  local server
  for server in "${servers[@]}"; do end "$server"; done
  ip link del "$inside" 2>/dev/null || true
  ip netns del "$peer" 2>/dev/null || true
  rm -rf "$work"
}

# A network of the host: an interface, and behind it somebody who completes what it sends, as a wire would ask for.
ip netns add "$peer"
ip link add "$inside" type veth peer name "$outside" netns "$peer"
ip link set "$inside" up
ip netns exec "$peer" ethtool -K "$outside" tx off tso off gso off >/dev/null
ip -n "$peer" addr add 10.9.0.2/24 dev "$outside"
ip -n "$peer" link set "$outside" up

cat >"$work/uplink.clab.yml" <<LAB
name: uplink
topology:
  nodes:
    up: {kind: ethdev, config: {vars: {patchbay: {devargs: "net_af_packet0,iface=$inside"}}}}
    br: {kind: bridge}
    h1: {kind: linux}
    h2: {kind: linux}
  links:
    - {endpoints: ["up:port", "br:p1"]}
    - {endpoints: ["h1:eth1", "br:p2"], ipv4: [10.9.0.1/24, ""], mtu: 1500}
    - {endpoints: ["h2:eth1", "br:p3"], ipv4: [10.9.0.3/24, ""], mtu: 1500}
LAB
check "two nodes and the network outside on one bridge"
lab=$work/uplink.clab.yml
"$patchbay" deploy -t "$lab"
[[ $(listing -r '.nodes[] | select(.name == "up") | .state') == up ]] || fail "the device has no carrier"
within 5 in_node h1 ping -q -c 1 -W 1 10.9.0.2 >/dev/null || fail "nobody answers outside"
in_node h1 ping -q -c 500 -i 0.002 -s 1400 10.9.0.2 | grep -q ' 0% packet loss' || fail "frames are lost"
ip netns exec "$peer" ping -q -c 3 -W 2 10.9.0.3 >/dev/null || fail "h2 is not reached from outside"

check "a VLAN tag, which the host's kernel takes out of what it receives, is in the frame"
capturing() { [[ $(listing '[.. | objects | select(.captured == true)] | length') -ge 1 ]]; }
"$patchbay" capture -t "$lab" up:port -f 'vlan 7' -c 1 -w "$work/vlan.pcapng" 2>/dev/null &
capture=$!
within 10 capturing || fail "the capture does not start"
ip netns exec "$peer" python3 - "$outside" <<'SEND'
import socket, sys
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind((sys.argv[1], 0))
link.send(b"\xff" * 6 + b"\x02\0\0\0\0\7" + b"\x81\0\xa0\7" + b"\x88\xb5" + b"tagged" * 10)
SEND
wait "$capture" || fail "the capture ends with $?"
[[ $(tshark -r "$work/vlan.pcapng" -T fields -e vlan.id -e vlan.priority -e eth.len -e frame.len 2>/dev/null) == $'7\t5\t\t78' ]] ||
  fail "the frame is $(tshark -r "$work/vlan.pcapng" -T fields -e vlan.id -e vlan.priority -e eth.len -e frame.len)"

check "TCP both ways"
ip netns exec "$peer" iperf3 -s >/dev/null &
servers+=($!)
within 5 in_node h1 iperf3 -c 10.9.0.2 -n 20M >/dev/null || fail "TCP to the network outside"
in_node h2 iperf3 -c 10.9.0.2 -n 20M -R >/dev/null || fail "TCP from the network outside"

check "a capture at the device"
"$patchbay" capture -t "$lab" up:port -f icmp -c 8 -w "$work/ping.pcapng" 2>/dev/null &
capture=$!
within 10 capturing || fail "it does not start"
in_node h1 ping -q -c 4 -i 0.1 10.9.0.2 >/dev/null
wait "$capture" || fail "the capture ends with $?"
[[ $(tshark -r "$work/ping.pcapng" 2>/dev/null | wc -l) -eq 8 ]] || fail "the capture has not 8 frames"
balanced

check "the interface is left as it was"
"$patchbay" destroy -t "$lab"
ip -d link show "$inside" | grep -q 'promiscuity 0' || fail "it is promiscuous"

check "replay of the capture, and a record of what came back"
cat >"$work/replay.clab.yml" <<LAB
name: replay
topology:
  nodes:
    up: {kind: ethdev, config: {vars: {patchbay: {devargs: "net_pcap0,rx_pcap=$work/ping.pcapng,tx_pcap=$work/back.pcap"}}}}
    h1: {kind: linux}
  links:
    - {endpoints: ["up:port", "h1:eth1"], ipv4: ["", 10.9.0.2/24]}
LAB
lab=$work/replay.clab.yml
"$patchbay" deploy -t "$lab"
frames() { [[ $(listing '[.. | objects | select(.name? == "h1:eth1")][0].out.delivered') == 8 ]]; }
within 10 frames || fail "the 8 frames did not arrive"
in_node h1 ping -q -c 1 -W 1 10.9.0.77 >/dev/null && fail "a recording answers"
balanced
"$patchbay" destroy -t "$lab"
[[ $(tshark -r "$work/back.pcap" -Y 'arp.dst.proto_ipv4 == 10.9.0.77' 2>/dev/null | wc -l) -ge 1 ]] || fail "what h1 asked was not recorded"

check "what cannot be made says so and leaves nothing"
sed 's/net_pcap0,rx_pcap=[^,]*/net_pcap0,rx_pcap=\/nowhere/' "$lab" >"$work/bad.clab.yml"
status=0
"$patchbay" deploy -t "$work/bad.clab.yml" 2>"$work/log" || status=$?
[[ $status -eq 1 ]] && grep -q "'up:port' cannot have the DPDK device 'net_pcap0" "$work/log" || fail "status $status: $(cat "$work/log")"
[[ ! -e /run/patchbay/replay ]] || fail "the run directory is left"
echo "passed after $SECONDS s"
