#!/usr/bin/env bash
# Programs of other makes as nodes, over vhost-user: dpdk-testpmd joins examples/external.clab.yml, then carries frames
# between two external nodes, one that listens and one that connects. Every kind of ring, testpmd killed under traffic,
# strangers at the sockets, the engine killed, and what is left afterwards. Usage: external.sh PATCHBAY EXAMPLES
set -euo pipefail
patchbay=$1 examples=$2
source "$(dirname "$0")/lab.sh"
needs dpdk-testpmd ping iperf3 jq socat

example=$examples/external.clab.yml
peers=$work/peers.clab.yml
cat >"$peers" <<'LAB'
name: peers
topology:
  nodes:
    sw: {kind: bridge}
    h1: {kind: linux}
    h2: {kind: linux}
    h3: {kind: linux}
    x1: {kind: external}
    x2: {kind: external}
  links:
    - {endpoints: ["h1:eth1", "sw:p1"], ipv4: [10.0.1.1/24, ""], mtu: 1500}
    - {endpoints: ["h3:eth1", "sw:p2"], ipv4: [10.0.1.3/24, ""], mtu: 1500}
    - {endpoints: ["x1:eth1", "sw:p3"], mtu: 1500, vars: {patchbay: {queues: 2, vhost-user: {socket: x1.sock}}}}
    - {endpoints: ["x2:eth1", "h2:eth1"], ipv4: ["", 10.0.1.2/24], mtu: 1500,
       vars: {patchbay: {queues: 2, vhost-user: {mode: client, socket: x2.sock}}}}
LAB
peer="" stranger="" flood=""
trap 'end "$peer"; end "$stranger"; end "$flood"; clean_up' EXIT

lab=$example
evidence() { tail -n 15 "$work/testpmd.log" 2>/dev/null | sed 's/^/testpmd: /'; }
fact() { listing -r ".nodes[] | select(.name == \"$1\") | .interfaces[0].$2"; }
reaches() { in_node "$1" ping -q -c 1 -W 1 "$2" >/dev/null; }
says() { [[ $(fact "$1" "$2") == $3 ]]; }  # the third is a pattern

# Both logical cores of a peer may use every processor that this script may.
cpus=$(taskset -cp $$ | sed 's/.*: //')
testpmd() {  # VDEV... -- OPTION...
  local eal=(--no-huge --no-shconf -m 256 --single-file-segments --no-pci --no-telemetry --lcores "(0,1)@($cpus)")
  while [[ $1 != -- ]]; do eal+=("--vdev=$1"); shift; done
  shift
  RUNTIME_DIRECTORY=$work stdbuf -oL dpdk-testpmd "${eal[@]}" -- --total-num-mbufs=8192 --stats-period=3600 \
    --disable-link-check "$@" >"$work/testpmd.log" 2>&1 </dev/null &
  peer=$!
}
# testpmd as x1 and x2: what comes in on one goes out on the other.
joins() {  # QUEUES PACKED
  rm -f "$work/x2.sock"  # testpmd does not replace one that a killed testpmd left
  testpmd "net_virtio_user0,path=$work/x1.sock,queues=$1,packed_vq=$2,mac=$(fact x1 mac)" \
    "net_virtio_user1,path=$work/x2.sock,server=1,queues=$1,packed_vq=$2,mac=$(fact x2 mac)" \
    -- --forward-mode=io "--rxq=$1" "--txq=$1"
  within 20 says x1 queues "$1" && within 20 says x2 queues "$1" || fail "testpmd with $1 queue pairs does not join"
  within 20 reaches h1 10.0.1.2 || fail "no ping through testpmd"
}
leaves() { end "$peer"; peer=""; within 10 says x1 connected false && within 10 says x2 connected false || fail "a peer that left is there"; }

check "the example: testpmd joins with two queue pairs and answers pings"
"$patchbay" deploy -t "$lab" | tee "$work/deployed"
socket=$(sed -n 's/^x1:eth1: vhost-user, listens at \(.*\), mac .*/\1/p' "$work/deployed")
[[ -S $socket ]] || fail "deploy does not tell where the socket is"
says x1 connected false || fail "connected to nobody"
testpmd "net_virtio_user0,path=$socket,queues=2,mac=$(fact x1 mac)" -- --forward-mode=icmpecho --rxq=2 --txq=2
within 20 says x1 queues 2 || fail "two queue pairs do not come up"
within 20 reaches h1 10.0.1.2 || fail "testpmd does not answer"
"$patchbay" inspect -t "$lab"
balanced
end "$peer"
"$patchbay" destroy -t "$lab"
[[ ! -e /run/patchbay/external && ! -e $socket ]] || fail "destroy left something"

lab=$peers
"$patchbay" deploy -t "$lab"
connections=0
# The other two combinations come below.
for kind in "split 2" "packed 1"; do
  read -r ring queues <<<"$kind"
  check "$ring rings, queue pairs: $queues; from h1 through x1, testpmd and x2 to h2"
  [[ $ring == packed ]] && packed=1 || packed=0
  joins "$queues" "$packed"
  for node in x1 x2; do
    [[ $(fact $node features) == *F_RING_PACKED* ]] && negotiated=1 || negotiated=0
    [[ $negotiated == "$packed" ]] || fail "the rings of $node are not $ring"
  done
  connections=$((connections + 1))
  says x1 connections "$connections" && says x2 connections "$connections" || fail "not $connections connections"
  in_node h1 ping -q -c 100 -i 0.01 -s 1472 -M do 10.0.1.2 | grep -q ' 0% packet loss' || fail "pings were lost"
  if [[ $queues == 2 ]]; then  # flows enough for both; one that does not work starves its flows
    in_node h2 iperf3 -s -1 -D
    within 5 in_node h2 sh -c 'ss -Htln sport = :5201 | grep -q .' || fail "iperf3 does not listen"
    in_node h1 iperf3 -c 10.0.1.2 -P 4 -t 1 -J >"$work/iperf" || fail "iperf3: $(cat "$work/iperf")"
    jq -e '[.end.streams[].receiver.bytes] | length == 4 and min > 0' "$work/iperf" >/dev/null || fail "a flow starved"
  fi
  balanced
  leaves
done

check "testpmd killed under traffic: the others go on; started again, traffic goes on"
joins 2 1
"$patchbay" exec -t "$lab" --node h1 -- ping -q -f -c 1000000 10.0.1.2 >/dev/null 2>&1 &
flood=$!
before=$(fact x1 connections)
delivered() { listing '[.segments[].ports[] | select(.name == "x1:eth1").out.delivered][0]'; }
start=$(delivered)
flows() { [[ $(delivered) -gt $((start + 200)) ]]; }
within 10 flows || fail "no traffic"
leaves
says x1 last_error "the peer closed the connection" || fail "x1 says $(fact x1 last_error)"
[[ $(listing -r '.nodes[] | select(.name == "x1").state') == waiting ]] || fail "x1 does not wait"
within 10 reaches h1 10.0.1.3 || fail "h1 and h3 suffer"
balanced
joins 2 1
says x1 connections $((before + 1)) || fail "x1 was connected $(fact x1 connections) times"
[[ $(fact x1 last_error) == null ]] || fail "an error that is over is still told"
start=$(delivered)
within 10 flows || fail "no traffic after testpmd came back"
end "$flood"
flood=""

check "a second front end is turned away, and the first goes on"
socat -u OPEN:/dev/null "UNIX-CONNECT:$work/x1.sock" || true
within 5 says x1 last_error "a second front end*" || fail "x1 says $(fact x1 last_error)"
within 10 reaches h1 10.0.1.2 || fail "the first one suffers"
leaves

check "garbage at a listening and at a connecting node"
send() { socat -u - "UNIX-CONNECT:$work/x1.sock" 2>/dev/null || true; }  # the engine may hang up first
printf 'GET / HTTP/1.1\r\nHost: patchbay\r\n\r\n' | send
within 5 says x1 last_error "the peer speaks another version*" || fail "x1 says $(fact x1 last_error)"
# Request 999, version 1, of 4 bytes; then one that announces two gigabytes.
printf '\xe7\x03\0\0\x01\0\0\0\x04\0\0\0abcd' | send
within 5 says x1 last_error "unknown (999): a request that was not offered" || fail "x1 says $(fact x1 last_error)"
printf '\x01\0\0\0\x01\0\0\0\0\0\0\x7f' | send
within 5 says x1 last_error "a message of 2130706432 bytes" || fail "x1 says $(fact x1 last_error)"
{ head -c 100000 /dev/urandom || true; } 2>/dev/null | send
rm -f "$work/x2.sock"
head -c 64 /dev/zero >"$work/zeros"
socat "UNIX-LISTEN:$work/x2.sock,fork" "OPEN:$work/zeros,rdonly" 2>/dev/null &
stranger=$!
within 10 says x2 last_error "the peer speaks another version*" || fail "x2 says $(fact x2 last_error)"
end "$stranger"
stranger=""
says x1 connected false && within 10 reaches h1 10.0.1.3 || fail "the others suffer"
joins 1 0
balanced

check "what a lab leaves that is destroyed: nothing"
engine=$(cat /run/patchbay/peers/pid)
gone() { [[ ! -e /proc/$engine && ! -e /run/patchbay/peers && ! -e $work/x1.sock && -z $(find /run/netns -name '*peers*' 2>/dev/null) ]]; }
"$patchbay" destroy -t "$lab"
within 5 gone || fail "destroy left something"
end "$peer"

check "the engine killed under traffic: nothing is left either, and a testpmd that listens takes the lab back"
"$patchbay" deploy -t "$lab"
engine=$(cat /run/patchbay/peers/pid)
rm -f "$work/x2.sock"
testpmd "net_virtio_user0,path=$work/x2.sock,server=1,queues=2" -- --forward-mode=icmpecho --rxq=2 --txq=2
within 20 reaches h2 10.0.1.9 || fail "testpmd does not answer"
"$patchbay" exec -t "$lab" --node h2 -- ping -q -f -c 1000000 10.0.1.9 >/dev/null 2>&1 &
flood=$!
answered() { [[ $(listing '[.segments[].ports[] | select(.name == "x2:eth1").in.frames][0]') -gt 1000 ]]; }
within 20 answered || fail "no traffic"
kill -KILL "$engine"
end "$flood"
flood=""
"$patchbay" destroy -t "$lab"
within 5 gone || fail "destroy left something of a lab whose engine was killed"
"$patchbay" deploy -t "$lab"
engine=$(cat /run/patchbay/peers/pid)
within 20 reaches h2 10.0.1.9 || fail "testpmd is not there for the new lab"
balanced
"$patchbay" destroy -t "$lab"
within 5 gone || fail "destroy left something"
echo "passed after $SECONDS s"
