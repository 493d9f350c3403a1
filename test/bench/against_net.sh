# SPDX-License-Identifier: MIT
#
# The network bench's work in VTL0: TCP from eth0 to eth1, which it is wired to,
# in a network of its own. Each job runs twice, the second time with five times
# the bytes, as that of the disk does. A line of results for each:
#
#	bench: BLOCK 1 FRAMES FRAMES/S MICROSECONDS
set -u

fail() { echo "bench: failed: $*"; exit 1; }

# The function's own driver, where the guest sees it.
modprobe mana || fail "modprobe: $?"
wait_for /sys/class/net/eth0 20 && wait_for /sys/class/net/eth1 20 || exit 1
unshare -n sleep 10000 &
far=$!
sleep 1
ip link set eth1 netns $far || fail "netns: $?"
in_far() { nsenter -n -t $far "$@"; }
ifconfig eth0 10.4.0.1 netmask 255.255.255.0
in_far ifconfig eth1 10.4.0.2 netmask 255.255.255.0
ping -c 2 -W 20 10.4.0.2 >/dev/null || fail "no way to eth1"
head -c $((2500 * 1448)) /dev/urandom >/tmp/data

now() { cut -d ' ' -f 1 /proc/uptime | tr -d .; } # 10 ms each

# measure BLOCK FRAMES
measure() {
	in_far socat -u -b 65536 TCP-LISTEN:5000,reuseaddr - | wc -c >/tmp/got &
	sleep 1
	mark start
	begun=$(now)
	head -c $(($2 * 1448)) /tmp/data |
		socat -u -b 65536 - TCP:10.4.0.2:5000 || fail "socat: $?"
	wait $!
	us=$((($(now) - begun + 1) * 10000))
	mark stop
	[ "$(cat /tmp/got)" = $(($2 * 1448)) ] ||
		fail "$(cat /tmp/got) of $(($2 * 1448)) bytes came"
	echo "bench: $1 1 $2 $(($2 * 1000000 / us)) $((us / $2))"
}

for block in 1448 large; do
	[ $block = large ] && tso=on || tso=off
	ethtool -K eth0 tso $tso >/dev/null || fail "-K tso $tso: $?"
	for frames in 500 2500; do
		measure $block $frames
	done
done
kill $far
