#!/bin/sh
# The other end of driver.sh: carries out the commands typed at the console and types the answers at the driver's.
stty -echo
echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6  # only what the driver asks for is sent
for name in default eth0; do echo 3600000 >/proc/sys/net/ipv4/neigh/$name/base_reachable_time_ms; done
ip addr add 10.0.0.2/24 dev eth0
ip link set eth0 up
cat >/through <<'END'
#!/bin/sh
# TCP from one namespace to the other; what comes from either goes to the driver's card, and what comes from there in.
if [ ! -e /run/through ]; then
  touch /run/through
  mkdir -p /var/run
  while read -r module; do insmod "/lib/modules/$module"; done </lib/modules/more
  echo 1 >/proc/sys/net/ipv4/ip_forward
  echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter
  /iproute/ip neigh replace 10.0.0.1 lladdr 02:00:00:00:00:01 dev eth0 nud permanent
  /iproute/ip route add default via 10.0.0.1 dev eth0 table 100
  for i in 1 2; do
    /iproute/ip netns add n$i
    /iproute/ip link add v$i type veth peer name eth0 netns n$i
    ip addr add 10.1.$i.1/24 dev v$i
    ip link set v$i up
    /iproute/ip -n n$i addr add 10.1.$i.2/24 dev eth0
    /iproute/ip -n n$i link set eth0 up
    /iproute/ip -n n$i route add default via 10.1.$i.1
    /iproute/ip rule add iif v$i lookup 100
  done
  /iproute/ip netns exec n2 iperf3 -s -D
fi
/iproute/ip netns exec n1 ping -c 2 -W 5 10.1.2.2
timeout 40 /iproute/ip netns exec n1 iperf3 -c 10.1.2.2 -f m -t 3
END
chmod 755 /through
while read -r number command; do
  answer=$(timeout 80 sh -c "$command" 2>&1 </dev/null)
  status=$?
  echo "@@type a $number $status $(echo "$answer" | tr '\n@' '  ' | tail -c 1500)"
done
