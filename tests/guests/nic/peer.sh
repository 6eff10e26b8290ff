#!/bin/sh
# The other end of driver.sh: answers pings and iperf3, and runs the commands that arrive at port 98.
mkfifo /run/end
iperf3 -s -D
nc -ll -p 98 -e /bin/sh &
ip addr add 10.0.0.2/24 dev eth0
ip link set eth0 up
cat /run/end >/dev/null
echo "peer: $(ethtool -S eth0 | grep -E ' (rx|tx)_packets' | tr -s ' \n' ' ')"
