#!/bin/sh
# Keeps TCP running to the peer (tests/guests/nic/peer.sh) while guests are paused, reset, rebooted and switched off.
# Prints "pass NAME" or "fail NAME" for each step.
peer=10.0.0.2
complaints='NETDEV WATCHDOG|BUG:|Oops|lockup|stall|Marking clocksource|e1000.*(hang|reset adapter)'
step() { # NAME COMMAND...: the command's exit status decides
  name=$1
  shift
  if "$@" >/tmp/log 2>&1; then echo "pass $name"; else echo "fail $name"; sed 's/^/  /' /tmp/log | tail -n 20; fi
}
remote() { echo "$*" | nc -w 20 "$peer" 98; }
served() { # the peer is up and its servers answer, within 90 s
  seconds=0
  while [ $seconds -lt 90 ]; do
    remote "echo do''ne" | grep -q done && timeout 10 iperf3 -c "$peer" -n 1K >/dev/null 2>&1 && return
    sleep 1
    seconds=$((seconds + 1))
  done
  return 1
}
start_traffic() { # SECONDS
  iperf3 -c "$peer" -f m -i 4 -t "$1" >/tmp/traffic 2>&1 &
  traffic=$!
  sleep 3
}
end_traffic() { # its end by itself; the last interval of four seconds moved data
  wait $traffic || { cat /tmp/traffic; return 1; }
  cat /tmp/traffic
  grep ' sec ' /tmp/traffic | grep -v -e sender -e receiver | tail -n 1 | grep -qv ' 0.00 Bytes\| 0.00 MBytes'
}
break_traffic() { kill $traffic; wait $traffic; true; }
# 22 s are more than the watchdogs of Linux wait, and end before TCP's seventh repetition.
peer_paused() { start_traffic 44; echo "@@pause b 22" >/dev/console; end_traffic && served; }
paused() { # its own pause lasts no time
  before=$(cut -d. -f1 /proc/uptime)
  start_traffic 16
  echo "@@pause a 22" >/dev/console
  end_traffic && served && after=$(cut -d. -f1 /proc/uptime) && echo "took $((after - before)) s" && [ $((after - before)) -lt 36 ]
}
silent() { # neither kernel complained
  ! dmesg | grep -iE "$complaints" && remote "dmesg | grep -ciE '$complaints'" | grep -qx 0
}
peer_reset() { start_traffic 60; echo "@@reset b" >/dev/console; sleep 2; served && break_traffic; }
# With e1000 while frames arrive to the last; not with virtio-net, where Linux may stand still (tools/image/guest-init).
case $(readlink /sys/class/net/eth0/device/driver) in
  *e1000) reboot="reboot -f" poweroff="poweroff -f" ;;
  *) reboot=reboot poweroff=poweroff ;;
esac
peer_rebooted() { start_traffic 60; remote "$reboot" & sleep 3; served && break_traffic; }
peer_off() { start_traffic 60; remote "$poweroff" & sleep 5; ! ping -c 1 -W 2 "$peer" && break_traffic; }

ip addr add 10.0.0.1/24 dev eth0
ip link set eth0 up
step served served
dmesg -c >/dev/null # a host that is slow makes a guest complain at its start already
remote "dmesg -c >/dev/null; echo" >/dev/null
step peer_paused peer_paused
step paused paused
step silent silent
step peer_reset peer_reset
step peer_rebooted peer_rebooted
step peer_off peer_off
