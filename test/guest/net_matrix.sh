# SPDX-License-Identifier: MIT
#
# What a synthetic NIC can, one after the other. On the command line, beside
# what net_lib.sh says: `job=offloads' (queues, tables, offloads, IPv6),
# `job=versions nics=N' (data over each of eth0 to ethN-1), `job=pair' (two NICs
# that are wired to each other: MTUs and tags), `job=data times=N' (N times 32
# MiB each way between those, which have MTU 9000), `job=counts' and `job=bursts'
# (what a frame costs, of a transfer and of bursts of 32).
set -u
prefix=net
. /lib/net.sh

queues='rx_queue_*_packets'

# grown BEFORE AFTER: how many of the numbers did.
grown() {
	local n=0 a b

	set -- "$1" $2
	for a in $1; do
		b=$2
		shift 2
		set -- '' "$@"
		[ "$b" -le "$a" ] || n=$((n + 1))
	done
	echo $n
}

# received COUNT: in so many connections at once; prints in how many queues.
received() {
	local before

	before=$(spread "$queues")
	at_once "$1"
	grown "$before" "$(spread "$queues")"
}

channels() {
	local n

	n=$(ethtool -l eth0 | sed -n 's/^Combined:[^0-9]*//p' | tail -n 1)
	[ "$n" = 4 ] || fail "$n channels, not 4"
	n=$(received 12) || fail "$n"
	tell "flows on $n channels"
	[ "$n" -ge 3 ] || fail "too few: $(spread "$queues")"
	# The table and the key that the guest says.
	ethtool -X eth0 equal 1 || fail "-X equal 1"
	reaches
	n=$(received 8) || fail "$n"
	[ "$n" = 1 ] || fail "equal 1: frames on $n channels"
	ethtool -X eth0 equal 4 || fail "-X equal 4"
	ethtool -X eth0 hkey "$(ethtool -x eth0 | grep -A1 'hash key' |
		tail -n 1 | sed 's/^../5a/')" || fail "-X hkey"
	ethtool -x eth0 | grep -q '^5a:' || fail "hkey: $(ethtool -x eth0)"
	n=$(received 12) || fail "$n"
	[ "$n" -ge 3 ] || fail "another key: $(spread "$queues")"
	tell "table and key followed"
}

offloads() {
	local tx tso rx

	while read -r tx tso rx; do
		ethtool -K eth0 tx $tx tso $tso rx $rx >/tmp/k 2>&1 ||
			fail "-K tx $tx tso $tso rx $rx: $(cat /tmp/k)"
		transfer >/dev/null
		echo datagram | socat -u - "UDP:$host:$port$via"
		tell "good with tx $tx, tso $tso, rx $rx"
	done <<-END
	on on on
	on off on
	off off on
	off off off
	on on off
	END
	ethtool -K eth0 tx on tso on rx on >/dev/null || fail "-K all on"
}

ipv6() {
	local i=0

	until ip -6 addr show dev eth0 | grep -q 'inet6 fec0.*scope' &&
	      ! ip -6 addr show dev eth0 | grep -q tentative; do
		i=$((i + 1))
		[ $i -lt $((20 * pace)) ] || fail "no address of IPv6"
		sleep 1
	done
	ping6 -c 2 -W $((5 * pace)) fec0::2 >/tmp/ping ||
		fail "ping6: $(cat /tmp/ping)"
	to='TCP6:[fec0::2]'
	transfer >/dev/null
	ethtool -K eth0 tx off >/dev/null 2>&1 || fail "-K tx off"
	transfer >/dev/null
	tell 'good with IPv6'
}

versions() {
	local nic=0

	while [ $nic -lt "$(value nics)" ]; do
		wait_for "/sys/class/net/eth$nic" $((20 * pace)) ||
			fail "no eth$nic"
		ip link set "eth$nic" up || fail "eth$nic up: $?"
		ifconfig "eth$nic" 10.0.2.15 netmask 255.255.255.0
		via=,so-bindtodevice=eth$nic
		transfer >/dev/null
		tell "eth$nic $bytes bytes each way"
		ip link set "eth$nic" down
		nic=$((nic + 1))
	done
}

# ---- two NICs, wired to each other; the far one in a network of its own ----

in_far() { nsenter -t $far -n "$@" || fail "far: $*: $?"; }

# sent ADDRESS: /tmp/data to there by TCP.
sent() {
	nsenter -t $far -n socat -u TCP-LISTEN:7,reuseaddr - >/tmp/came &
	sleep 1
	socat -u -b 65536 - TCP:$1:7 </tmp/data || fail "$1: sent: $?"
	wait $!
	cmp /tmp/came /tmp/data || fail "$1: other data came"
}

# came ADDRESS: the same, from there.
came() {
	nsenter -t $far -n socat -u -b 65536 - TCP-LISTEN:8,reuseaddr \
		</tmp/data &
	sleep 1
	socat -u TCP:$1:8 - >/tmp/came || fail "$1: came: $?"
	wait $!
	cmp /tmp/came /tmp/data || fail "$1: other data came"
}

mtus() {
	local mtu

	for mtu in 576 1500 4000 9000; do
		ip link set eth0 mtu $mtu || fail "MTU $mtu: $?"
		in_far ip link set eth1 mtu $mtu
		ping -c 3 -W $((5 * pace)) -s $((mtu - 28)) 10.4.0.2 >/tmp/ping ||
			fail "MTU $mtu, full frames: $(cat /tmp/ping)"
		sent 10.4.0.2
		came 10.4.0.2
		tell "good with MTU $mtu"
	done
}

tags() {
	modprobe 8021q || fail "8021q: $?"
	vconfig add eth0 5 || fail "vconfig: $?"
	ifconfig eth0.5 10.5.0.1 netmask 255.255.255.0
	in_far vconfig add eth1 5
	in_far ifconfig eth1.5 10.5.0.2 netmask 255.255.255.0
	ping -c 3 -W $((5 * pace)) 10.5.0.2 >/tmp/ping ||
		fail "tagged: $(cat /tmp/ping)"
	sent 10.5.0.2
	came 10.5.0.2
	# The same address without the tag is nobody's.
	ifconfig eth0.5 down
	ifconfig eth0 10.5.0.1 netmask 255.255.255.0
	! ping -c 1 -W 2 10.5.0.2 >/dev/null || fail "untagged frames passed"
	tell "tagged: 1 MiB each way"
}

# Large sends that are large, or a slow sender makes them of two segments.
data() {
	local round=0 segments=/proc/sys/net/ipv4/tcp_min_tso_segs

	echo 40 >$segments || fail "segments: $?"
	in_far sh -c "echo 40 >$segments"
	ip link set eth0 mtu 9000 || fail "MTU: $?"
	in_far ip link set eth1 mtu 9000
	head -c $((32 << 20)) /dev/urandom >/tmp/data
	while [ $round -lt "$(value times)" ]; do
		round=$((round + 1))
		echo "round $round" | dd of=/tmp/data conv=notrunc 2>/dev/null
		sent 10.4.0.2
		came 10.4.0.2
		tell "transfer $round"
	done
	tell "counters rx $(cat /sys/class/net/eth0/statistics/rx_packets)" \
		"tx $(frames_sent)"
}

# counted NAME COMMAND...: with silence around it. 3 s for what came before.
counted() {
	local name=$1

	shift
	sleep $((3 * pace))
	tell "$name waits"
	sleep $((6 * pace))
	"$@" || fail "$name: $?"
	tell "$name done"
	sleep $((6 * pace))
}

# Without large sends the stack cuts what TCP gives it, and hands the pieces
# over as one burst: of up to 44.
counts() {
	ethtool -K eth0 tso off >/dev/null || fail "-K tso off: $?"
	sent 10.4.0.2
	head -c $((4 << 20)) /dev/urandom >/tmp/data
	counted counts sent 10.4.0.2
}

# 100 bursts of 32 frames. The rest between them is longer than a burst takes.
bursts() {
	local mac

	mac=$(nsenter -t $far -n ip link show eth1 |
		sed -n 's/.*ether \([^ ]*\).*/\1/p')
	counted bursts /bin/bursts eth0 "$mac" 100 32 512 $((50 * pace))
}

# pair JOB...: with both of them up.
pair() {
	wait_for /sys/class/net/eth1 $((20 * pace)) || fail "no eth1"
	unshare -n sleep 100000 &
	far=$!
	sleep 1
	ip link set eth1 netns $far || fail "netns: $?"
	head -c $((1 << 20)) /dev/urandom >/tmp/data
	ifconfig eth0 10.4.0.1 netmask 255.255.255.0
	in_far ifconfig eth1 10.4.0.2 netmask 255.255.255.0
	for job; do
		$job
	done
	kill $far
}

case $(value job) in
offloads)
	wait_for /sys/class/net/eth0 $((20 * pace)) || fail "no eth0"
	up
	dhcp
	reaches
	transfer
	channels
	offloads
	ipv6;;
versions) versions;;
pair) pair mtus tags;;
data) pair data;;
counts) pair counts;;
bursts) pair bursts;;
*) fail "job \`$(value job)': not one";;
esac
tell done
exit 0
