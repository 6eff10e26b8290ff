#!/bin/sh
# Puts the guest's driver of eth0 through what people do with a card, against peer.sh. Prints "pass NAME" or
# "fail NAME" for each step.
peer=10.0.0.2
step() { # NAME COMMAND...: the command's exit status decides
  name=$1
  shift
  if "$@" >/tmp/log 2>&1; then echo "pass $name"; else echo "fail $name"; sed 's/^/  /' /tmp/log | tail -n 8; fi
}
remote() { echo "$*; echo done" | nc -w 20 "$peer" 98 | grep -q done; }
reachable() { # ADDRESS [BYTES]: within 15 s
  for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do ping -c 1 -W 1 -s "${2:-56}" "$1" && return; done
  return 1
}
served() { # the peer's servers are up, within 20 s
  for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    remote true && iperf3 -c "$peer" -n 1K >/dev/null 2>&1 && return
    sleep 1
  done
  return 1
}
tcp() { iperf3 -c "$peer" -f m "$@"; }
udp() { iperf3 -c "$peer" -u -b 2M -l 1400 -t 2 -f m; }
bring_up() { ip addr add 10.0.0.1/24 dev eth0 2>/dev/null; ip link set eth0 up; }
mtu_9000() { remote ip link set eth0 mtu 9000 && ip link set eth0 mtu 9000 && reachable "$peer" 8972; }
vlan_9000() {
  remote "ip link add link eth0 name eth0.5 type vlan id 5; ip addr add 10.0.5.2/24 dev eth0.5; ip link set eth0.5 up" &&
    ip link add link eth0 name eth0.5 type vlan id 5 && ip addr add 10.0.5.1/24 dev eth0.5 && ip link set eth0.5 up &&
    [ "$(cat /sys/class/net/eth0.5/mtu)" = 9000 ] && reachable 10.0.5.2 8972 && iperf3 -c 10.0.5.2 -t 2
}
vlan_in_software() {
  ethtool -K eth0 txvlan off rxvlan off && reachable 10.0.5.2 8972 && ethtool -K eth0 txvlan on rxvlan on && reachable 10.0.5.2 8972
}
toggling() {
  tcp -t 12 >/tmp/traffic 2>&1 &
  for feature in tso tx sg rx gso gro rxvlan txvlan; do
    for state in off on; do
      ethtool -K eth0 "$feature" "$state" >/dev/null 2>&1
      usleep 300000
    done
  done
  wait $!
  status=$?
  cat /tmp/traffic
  [ $status -eq 0 ] && reachable "$peer"
}
device() { basename "$(readlink /sys/class/net/eth0/device)"; }
rebinding() {
  tcp -t 6 >/tmp/traffic 2>&1 &
  traffic=$!
  for i in 1 2; do
    function=$(device)
    driver=$(readlink -f /sys/class/net/eth0/device/driver)
    echo "$function" >"$driver/unbind"
    echo "$function" >"$driver/bind"
    sleep 1
    bring_up
  done
  wait $traffic
  reachable "$peer"
}
down_and_up() {
  tcp -t 4 >/dev/null 2>&1 &
  traffic=$!
  for i in 1 2 3; do ip link set eth0 down; ip link set eth0 up; sleep 1; done
  wait $traffic
  reachable "$peer"
}
carrier() { # WANTED
  for i in 1 2 3 4 5 6 7 8 9 10; do
    [ "$(cat /sys/class/net/eth0/carrier)" = "$1" ] && return
    sleep 1
  done
  return 1
}
carrier_lost() { echo "@@link a down" >/dev/console; carrier 0; }
carrier_back() { echo "@@link a up" >/dev/console; carrier 1 && reachable "$peer"; }
hears() { # [-p]: frames for another station, which the bridge floods; -p: without promiscuous mode
  rm -f /tmp/heard
  timeout 20 tcpdump -Z root $1 -c 3 -n -w /tmp/heard -i eth0 ether dst 02:00:00:00:00:77 &
  listener=$!
  sleep 2
  remote "arp -s 10.0.0.77 02:00:00:00:00:77; ping -c 5 -W 1 10.0.0.77 >/dev/null"
  kill $listener 2>/dev/null
  wait $listener
  [ "$(tcpdump -Z root -n -r /tmp/heard | wc -l)" "$2" 3 ]
}
promiscuous() { hears "" -ge; }
filtered() { hears -p -lt; }
multicast() { # the group of all nodes, then neighbour discovery
  ping6 -c 3 -I eth0 ff02::1 >/tmp/answers
  cat /tmp/answers
  mine=$(ip -6 addr show dev eth0 | awk '/fe80/{sub("/.*", "", $2); print $2}')
  other=$(awk '/from fe80/{sub(":$", "", $4); print $4}' /tmp/answers | grep -v "^$mine" | head -n 1)
  [ -n "$other" ] && ping6 -c 2 -I eth0 "${other%\%*}"
}
registers() { ethtool -d eth0 && ethtool -S eth0; }
self_test() { ethtool -t eth0 offline; }

step probe test -e /sys/class/net/eth0
bring_up
step ping reachable "$peer"
step served served
step tcp tcp -t 3
step tcp_reverse tcp -t 3 -R
step udp udp
step mtu_9000 mtu_9000
step tcp_9000 tcp -t 3
step vlan_9000 vlan_9000
[ "$(basename "$(readlink -f /sys/class/net/eth0/device/driver)")" != e1000 ] ||
  step vlan_in_software vlan_in_software
step toggling toggling
step rebinding rebinding
step down_and_up down_and_up
step carrier_lost carrier_lost
step carrier_back carrier_back
step promiscuous promiscuous
step filtered filtered
step multicast multicast
if [ "$(basename "$(readlink -f /sys/class/net/eth0/device/driver)")" = e1000 ]; then
  step registers registers
  step self_test self_test
  bring_up
  step after_self_test reachable "$peer"
fi
echo "kernel: $(dmesg | grep -ciE 'e1000.*(hang|error|reset adapter|fail)|NETDEV WATCHDOG|BUG:|Oops')"
dmesg | grep -iE 'e1000.*(hang|error|fail)|NETDEV WATCHDOG|BUG:|Oops' | tail -n 5
remote "echo end >/run/end" || true
