#!/bin/sh
# Takes eth0 from the kernel, gives it to DPDK's testpmd and puts it through what a poll-mode driver does with a card.
# The other end is peer.sh, which carries out the commands typed at its console. Prints "pass NAME" or "fail NAME" for each
# step, and before and after those whose frames are counted, "@@counters" and then what testpmd has counted.
mac=02:00:00:00:00:01
peer_mac=02:00:00:00:00:02
out=/run/testpmd
step() { # NAME COMMAND...: the command's exit status decides
  name=$1
  shift
  if [ -e /run/stuck ]; then
    echo "fail $name"
    return
  fi
  if "$@" >/tmp/log 2>&1; then echo "pass $name"; else echo "fail $name"; sed 's/^/  /' /tmp/log | tail -n 30; fi
}

# --- the peer
now() { cut -d' ' -f1 /proc/uptime | tr -d .; }
remote() { # COMMAND: on the peer, which gives back its exit status and its output in one line
  number=$(now)
  echo "@@type b $number $*" >/dev/console
  while read -r -t 90 got status text; do
    [ "$got" = $number ] || continue
    echo "peer: $* -> $status: $text"
    return "$status"
  done
  echo "peer: $* -> no answer"
  return 1
}
peer_up() { # it says nothing before it is up, and hears nothing
  for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    echo "@@type b 1 true" >/dev/console
    read -r -t 3 got status && [ "$got $status" = "1 0" ] && peer_is_up=yes && return
  done
  return 1
}
# COUNT BYTES [ADDRESS]: each when the one before is answered, or after a second: more may be under way in the end. Whether
# any was lost, the counters tell.
pings() {
  remote "ping -A -W 5 -c $1 -s $2 ${3:-10.0.0.1} | grep '% packet loss'" | grep " $1 packets received"
}

# --- testpmd
pmd() { # COMMAND...: waits until testpmd has carried them out, and gives back what it says
  before=$(wc -c <$out)
  for command; do echo "$command" >&3; done
  mark=$(now)
  echo "mark$mark" >&3
  for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
    tail -c +$((before + 1)) $out | grep -q "mark$mark" && break
    usleep 500000
  done
  tail -c +$((before + 1)) $out | grep -q "mark$mark" || touch /run/stuck
  tail -c +$((before + 1)) $out | tr -d '\r'
}
testpmd() { # ARGUMENT...: starts it
  : >$out
  _STDBUF_O=L LD_PRELOAD=/lib/libstdbuf.so dpdk-testpmd --lcores 0@0,1@0 -n 1 -m 96 --huge-dir /run/huge --no-telemetry \
    -a "$card" -d /lib/librte_bus_pci.so.23 -d /lib/librte_mempool_ring.so.23 -d /lib/librte_net_virtio.so.23 \
    -d /lib/librte_net_e1000.so.23 -- -i --total-num-mbufs=4096 "--eth-peer=0,$peer_mac" "$@" <&3 >$out 2>&1 &
  running=$!
  for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
    grep -q 'testpmd>' $out && break
    kill -0 $running || break
    sleep 1
  done
  cat $out
  grep -q 'testpmd>' $out
}
mode() { pmd stop "set fwd $1" start; }
xstat() { pmd "show port xstats 0" | sed -n "s/^$1: //p"; }
link() { pmd "show port info 0" | sed -n 's/^Link status: //p'; }
counted() { # NAME COMMAND...: a step whose frames are compared with what the switch counts
  counted=$1
  shift
  usleep 300000
  echo "@@counters" >/dev/console
  sent=$(xstat tx_good_packets) received=$(xstat rx_good_packets)
  step "$counted" "$@"
  usleep 500000
  echo "@@counters" >/dev/console
  echo "testpmd $counted sent $(($(xstat tx_good_packets) - sent)) received $(($(xstat rx_good_packets) - received))"
}

# --- steps
unbound() {
  card=$(readlink -f /sys/class/net/eth0/device)
  case $card in */virtio*) card=${card%/*} ;; esac
  card=${card##*/}
  while read -r module; do insmod "/lib/modules/$module"; done </lib/modules/more
  kernel_driver=$(basename "$(readlink -f "/sys/bus/pci/devices/$card/driver")")
  echo uio_pci_generic >"/sys/bus/pci/devices/$card/driver_override"
  echo "$card" >"/sys/bus/pci/devices/$card/driver/unbind"
  echo "$card" >/sys/bus/pci/drivers_probe
  [ -c /dev/uio0 ]
}
rebound() {
  echo "$card" >"/sys/bus/pci/devices/$card/driver/unbind"
  echo >"/sys/bus/pci/devices/$card/driver_override"
  echo "$card" >"/sys/bus/pci/drivers/$kernel_driver/bind"
  sleep 1
  ip addr add 10.0.0.1/24 dev eth0
  ip link set eth0 up
  for i in 1 2 3 4 5; do ping -c 3 -W 2 10.0.0.2 && return; done
  return 1
}
described() { # the card as testpmd sees it
  pmd "show port info 0" >/tmp/info
  cat /tmp/info
  grep -q "^MAC address: $1" /tmp/info && grep -q '^Driver name: net_\(virtio\|e1000_em\)' /tmp/info && grep -q '^Link status: up' /tmp/info
}
answering() { pmd "set fwd icmpecho" start; pings 3 56; }
flood() { # four at once
  remote "for i in 1 2 3 4; do ping -A -W 5 -c 150 -s \$((i * 300)) 10.0.0.1 >/tmp/flood\$i & done; wait; grep -h loss /tmp/flood?" >/tmp/floods
  cat /tmp/floods
  [ "$(grep -o '150 packets received' /tmp/floods | wc -l)" -eq 4 ]
}
generating() { # BYTES[,BYTES]: testpmd's own frames, as fast as it goes
  remote "cat /sys/class/net/eth0/statistics/rx_packets"
  pmd stop "set txpkts $1" "set fwd txonly" start
  sleep 1
  pmd stop
  pmd "set txpkts 64" "set fwd icmpecho" start
  remote "cat /sys/class/net/eth0/statistics/rx_packets"
  pings 3 56
}
link_lost() {
  before=$(grep -c 'link state change event' $out)
  echo "@@link a down" >/dev/console
  for i in 1 2 3 4 5 6 7 8 9 10; do [ "$(link)" != down ] || break; sleep 1; done
  [ "$(link)" = down ] && [ "$(grep -c 'link state change event' $out)" -gt "$before" ]
}
link_back() {
  before=$(grep -c 'link state change event' $out)
  echo "@@link a up" >/dev/console
  for i in 1 2 3 4 5 6 7 8 9 10; do [ "$(link)" != up ] || break; sleep 1; done
  [ "$(link)" = up ] && [ "$(grep -c 'link state change event' $out)" -gt "$before" ] && pings 20 56
}
restarted() {
  for i in 1 2 3; do
    pmd stop "port stop 0" "port start 0" start
    pings 10 1400 || return 1
  done
}
heard() { # COUNT of five frames for another station
  before=$(xstat rx_good_packets)
  remote "arp -s 10.0.0.77 02:00:00:00:00:77; ping -c 5 -i 0.1 -W 1 10.0.0.77 >/dev/null; true"
  after=$(xstat rx_good_packets)
  echo "before $before after $after"
  [ $((after - before)) -eq "$1" ]
}
promiscuous() { pmd "set promisc 0 on"; heard 5; }
filtered() { pmd "set promisc 0 off"; heard 0 && pings 10 56; }
readdressed() { # without promiscuous mode: the filter has to follow; icmpecho answers ARP with the address it began with
  pmd "mac_addr set 0 02:00:00:00:00:a1"
  remote "arp -s 10.0.0.1 02:00:00:00:00:a1"
  described 02:00:00:00:00:A1 && pings 10 56 && pmd "mac_addr set 0 $mac" && remote "arp -s 10.0.0.1 $mac" && pings 10 56 &&
    remote "arp -d 10.0.0.1" && pings 10 56
}
further_address() { pmd "mac_addr add 0 02:00:00:00:00:77"; heard 5 && pmd "mac_addr remove 0 02:00:00:00:00:77" && heard 0; }
groups() { # COUNT of three frames for a multicast group
  before=$(xstat rx_good_packets)
  remote "ping -c 3 -i 0.1 -W 1 -I eth0 239.1.2.3 >/dev/null; true"
  after=$(xstat rx_good_packets)
  echo "before $before after $after"
  [ $((after - before)) -eq "$1" ]
}
multicast() {
  groups 0 && pmd "set allmulti 0 on" && groups 3 && pmd "set allmulti 0 off" && groups 0
}
multicast_group() { # net_virtio cannot
  pmd "mcast_addr add 0 01:00:5e:01:02:03" && groups 3 && pmd "mcast_addr remove 0 01:00:5e:01:02:03" && groups 0
}
jumbo() {
  pmd stop "port stop 0" "port config 0 rx_offload scatter on" "port config 0 tx_offload multi_segs on" "port start 0" \
    "port stop 0" "port config mtu 0 9000" "port start 0" start
  remote "ip link set eth0 mtu 9000" && pings 20 8972 && pings 20 4000 && pings 10 56
}
small_again() {
  remote "ip link set eth0 mtu 1500"
  pmd stop "port stop 0" "port config mtu 0 1500" "port start 0" start
  pings 10 1472
}
vlan() { # tags that the card takes off and puts on
  remote "ip link add link eth0 name eth0.5 type vlan id 5; ip addr add 10.0.5.2/24 dev eth0.5; ip link set eth0.5 up"
  # Left on, icmpecho answers with them; a virtio-net card that can filter VLANs lets none through unless asked.
  pmd "set promisc 0 on"
  pings 10 1400 10.0.5.1 || return 1
  pmd "set promisc 0 off"
  pmd stop "port stop 0" "vlan set filter on 0" "vlan set strip on 0" "port config 0 tx_offload vlan_insert on" "tx_vlan set 0 5" \
    "port start 0" "rx_vlan add 5 0" start
  pings 10 1400 10.0.5.1
}
other_vlan() { # what the filter keeps out
  pmd "rx_vlan rm 5 0"
  before=$(xstat rx_good_packets)
  remote "ping -c 3 -i 0.1 -W 1 10.0.5.1 >/dev/null; true"
  after=$(xstat rx_good_packets)
  echo "before $before after $after"
  [ "$after" -eq "$before" ]
}
no_vlan() {
  pmd stop "port stop 0" "vlan set filter off 0" "vlan set strip off 0" "tx_vlan reset 0" "port config 0 tx_offload vlan_insert off" \
    "port start 0" start
  pings 10 56
}
through() { # OFFLOAD...: TCP between two namespaces of the peer, which routes it through testpmd's checksum engine
  pmd stop "port stop 0"
  for offload; do pmd "port config 0 ${offload%:*} ${offload#*:} on"; done
  pmd "set fwd csum" "csum set ip ${ip_checksum} 0" "csum set tcp hw 0" "csum set udp hw 0" "port start 0" "set promisc 0 off" start
  remote "/through" | grep 'receiver'
}
segmenting() { # testpmd cuts what it forwards into segments of 500 bytes: the card does
  pmd stop "port stop 0" "port config 0 tx_offload tcp_tso on" "tso set 500 0" "port start 0" start
  remote "/through" | grep 'receiver' && pmd stop "tso set 0 0"
}
coalescing() { # the card gives testpmd more than frames
  pmd stop "port stop 0" "port config 0 rx_offload tcp_lro on" "port start 0" start
  remote "/through" | grep 'receiver'
}
queues() {
  pmd stop "port stop 0" "port config all rxq 2" "port config all txq 2" "port start 0" "set fwd icmpecho" start
  pmd "show port info 0" | grep '^Current number of RX queues: 2' && pings 50 56 && flood
  status=$?
  pmd "show port xstats 0" | grep -e good_packets -e error
  return $status
}

stty -echo
mkdir -p /run/huge /var/run
echo 64 >/proc/sys/vm/nr_hugepages
mount -t hugetlbfs none /run/huge
mkfifo /run/in
exec 3<>/run/in
step unbound unbound
step testpmd testpmd
grep -q "testpmd>" $out || exit
step peer_up peer_up
[ "$peer_is_up" = yes ] || exit
step described described $mac
step answering answering
counted pings_56 pings 300 56
counted pings_1400 pings 300 1400
counted flood flood
counted generating generating 64
counted generating_1514 generating 1514
step link_lost link_lost
step link_back link_back
step restarted restarted
step promiscuous promiscuous
step filtered filtered
step readdressed readdressed
step further_address further_address
step multicast multicast
step jumbo jumbo
step small_again small_again
step vlan vlan
step other_vlan other_vlan
step no_vlan no_vlan
if [ "$kernel_driver" = e1000 ]; then
  step multicast_group multicast_group
  ip_checksum=hw
  step checksums through tx_offload:ipv4_cksum tx_offload:tcp_cksum tx_offload:udp_cksum rx_offload:ipv4_cksum rx_offload:tcp_cksum
else
  ip_checksum=sw
  step checksums through tx_offload:tcp_cksum tx_offload:udp_cksum rx_offload:tcp_cksum rx_offload:udp_cksum
  step segmenting segmenting
  step coalescing coalescing
  step queues queues
fi
echo "quit" >&3
sleep 2
step again testpmd --forward-mode=icmpecho --auto-start
step pings_again pings 50 56
pmd stop >/dev/null
echo "quit" >&3
sleep 2
step rebound rebound
echo "kernel: $(dmesg | grep -ciE 'e1000.*(hang|error|reset adapter|fail)|NETDEV WATCHDOG|BUG:|Oops')"
echo "@@type b 0 poweroff -f"
