# SPDX-License-Identifier: MIT
#
# A synthetic NIC, used by Debian's hv_netvsc. On the command line, beside what
# net_lib.sh says: `job=all', or `job=quick' (DHCP and a transfer), `pings=N',
# `rounds=N' reloads of the driver, before and after which it waits for a word on
# COM1 if there is `wait=1', `flows=N'; `times=N' transfers more, and
# `downs=N' times down and up, in which the queues are made anew. With
# `address=A' there is no DHCP, and it asks for a peer first.
set -u
prefix=net
. /lib/net.sh

queues='rx_queue_*_packets'

offload() {
	ethtool -k eth0 | grep -q "^$1: on" ||
		fail "$1: $(ethtool -k eth0 | grep "$1")"
}

identity() {
	wait_for /sys/class/net/eth0 $((20 * pace)) || fail "no eth0"
	tell "$(cat /sys/class/net/eth0/address)" \
		"$(ethtool -i eth0 | sed -n 's/^driver: //p')," \
		"PCI: $(ls /sys/bus/pci/devices 2>/dev/null | wc -l)"
}

# The second channel comes when the driver gets to it, and then the queues are
# made anew: what is under way at that moment is lost, as on a wire.
settled() {
	local i=0 open

	while :; do
		open=$(cat /sys/class/net/eth0/device/channels/*/read_avail \
			2>/dev/null | wc -l)
		[ "$open" -lt 2 ] || break
		[ $i -lt $((20 * pace)) ] || fail "one channel only"
		i=$((i + 1))
		sleep 1
	done
	sleep $((3 * pace))
}

# icmp FIELD: of the kernel's count of ICMP messages.
icmp() {
	awk -v field="$1" '$1 == "Icmp:" && !n { n = split($0, name); next }
		$1 == "Icmp:" { for (i = 2; i <= n; i++)
			if (name[i] == field) print $i }' /proc/net/snmp
}

# What comes back is counted as it comes from the NIC: ping's own socket holds
# a few KiB, and a ping that waits for its CPU meanwhile misses what follows.
pings() {
	local sent came

	[ "$(value pings)" -gt 0 ] || return 0
	settled
	sent=$(icmp OutEchos) came=$(icmp InEchoReps)
	ping -q -c "$(value pings)" -i 0.01 -W $((5 * pace)) $host >/tmp/ping ||
		fail "ping: $(tail -n 3 /tmp/ping)"
	tell "pings $(($(icmp OutEchos) - sent)) $(($(icmp InEchoReps) - came))," \
		"ping saw $(sed -n 's/^[0-9]* packets transmitted, \([0-9]*\) .*/\1/p' \
		/tmp/ping)"
	sed -n "s/^round-trip/$prefix: round-trip/p" /tmp/ping
}

# ask WHAT: at rest; goes on when it is told to.
ask() {
	[ "$(value wait)" = 1 ] || return 0
	settled
	tell "$1?"
	read -r word || fail "end of input on COM1"
}

mtu() {
	ip link set eth0 down || fail "down for MTU $1: $?"
	ip link set eth0 mtu "$1" || fail "MTU $1: $?"
	up
	reaches
	ping -c 2 -W $((5 * pace)) -s $(($1 - 28)) $host >/tmp/ping ||
		fail "MTU $1, full frames: $(cat /tmp/ping)"
	[ "$(cat /sys/class/net/eth0/mtu)" = "$1" ] || fail "MTU is not $1"
	tell "mtu $1"
}

identity
up
if [ -n "$(value address)" ]; then
	ifconfig eth0 "$(value address)" netmask 255.255.255.0
	ask peer
else
	dhcp
fi
reaches
if [ "$(value job)" = all ]; then
	offload tx-checksumming
	offload rx-checksumming
	offload tcp-segmentation-offload
	pings
fi
transfer
if [ "$(value job)" = all ]; then
	[ "$(spread "$queues" | wc -w)" -ge 2 ] ||
		fail "not two channels: $(spread "$queues")"
	flows "$(value flows)" "$queues"
	mtu 1400
	works 'MTU 1400'
	mtu 1500
	works 'MTU 1500'
	round=0
	ask before
	while [ $round -lt "$(value rounds)" ]; do
		round=$((round + 1))
		rmmod hv_netvsc || fail "round $round: rmmod: $?"
		modprobe hv_netvsc || fail "round $round: modprobe: $?"
		wait_for /sys/class/net/eth0 $((20 * pace)) || fail "no eth0 again"
		up
		ifconfig eth0 10.0.2.15 netmask 255.255.255.0
		reaches
		[ $((round % 10)) != 0 ] || tell "reload $round"
	done
	tell "$round reloads"
	ask after
fi
round=0
while [ $round -lt "0$(value times)" ]; do
	round=$((round + 1))
	(transfer) >/tmp/said || { cat /tmp/said; exit 1; }
	[ $((round % 4)) != 0 ] || tell "transfer $round"
done
round=0
while [ $round -lt "0$(value downs)" ]; do
	round=$((round + 1))
	ip link set eth0 down || fail "round $round: down: $?"
	up
	[ $((round % 50)) != 0 ] || { reaches; tell "down $round"; }
done
[ $round = 0 ] || works 'downs'
tell "counters rx $(cat /sys/class/net/eth0/statistics/rx_packets)" \
	"tx $(cat /sys/class/net/eth0/statistics/tx_packets)"
tell done
exit 0
