# SPDX-License-Identifier: MIT
#
# What the scripts in VTL0 share that use eth0; sourced. `prefix' starts each
# line that the host waits for. On the command line: `port=N', where a server
# sends, and on the next port takes, `bytes=N' bytes whose SHA-256 is `sum=';
# `pace=N' times as long waits.

host=10.0.2.2
# Where to and by which NIC, in socat's words.
to=TCP:$host via=

value() { sed -n "s/.*\\b$1=\\([^ ]*\\).*/\\1/p" /proc/cmdline; }

tell() { echo "$prefix: $*"; }

fail() {
	tell "$*"
	ethtool -S eth0 | grep -v ': 0$'
	dmesg | tail -n 20
	exit 1
}

port=$(value port)
bytes=$(value bytes)
sum=$(value sum)
pace=$(value pace)

up() {
	ip link set eth0 up || fail "up: status $?"
	wait_for /sys/class/net/eth0/carrier $((10 * pace)) || fail "no carrier file"
	[ "$(cat /sys/class/net/eth0/carrier)" = 1 ] || fail "no carrier"
}

dhcp() {
	cat >/tmp/udhcpc <<-END
	#!/bin/sh
	[ "\$1" = bound ] || exit 0
	ifconfig "\$interface" "\$ip" netmask "\$subnet"
	echo "$prefix: dhcp \$ip router \$router dns \$dns"
	END
	chmod 755 /tmp/udhcpc
	udhcpc -i eth0 -n -q -t 5 -s /tmp/udhcpc >/tmp/dhcp 2>&1 ||
		fail "dhcp: $(cat /tmp/dhcp)"
	grep "$prefix:" /tmp/dhcp
}

reaches() {
	ping -c 2 -W $((5 * pace)) $host >/tmp/ping ||
		fail "ping: $(cat /tmp/ping)"
}

# fetch BYTES: to stdout, the first of them. Not by nc: that closes its side at
# once, and sends what fits into a page.
fetch() {
	socat -u -b 65536 "$to:$port$via" - 2>/dev/null | head -c "$1"
}

frames_sent() { cat /sys/class/net/eth0/statistics/tx_packets; }

# The whole of it there and back.
transfer() {
	local said from

	fetch "$bytes" >/tmp/data
	said=$(sha256sum </tmp/data | cut -d ' ' -f 1)
	[ "$said" = "$sum" ] ||
		fail "$(stat -c %s /tmp/data) bytes came, sum $said"
	from=$(frames_sent)
	said=$(socat -t $((60 * pace)) -b 65536 - \
		"$to:$((port + 1))$via" </tmp/data)
	[ "$said" = good ] || fail "sent: $said"
	tell "$bytes bytes each way"
	[ -n "$via" ] || tell "sent in $(($(frames_sent) - from)) frames"
}

# Some of it again, after a change.
works() {
	reaches
	fetch 2097152 | cmp -s -n 2097152 - /tmp/data || fail "after $1: data"
	tell "works after $1"
}

# counter NAME
counter() { ethtool -S eth0 | sed -n "s/^ *$1: //p"; }

# spread QUEUES: frames received per queue, in a line; the NIC's names for
# them have a number where QUEUES, a regular expression, has a star.
spread() {
	ethtool -S eth0 | sed -n "s/^ *${1%%\**}[0-9]*${1#*\*}: //p" | xargs
}

# at_once N: so many connections, each with 64 KiB from there.
at_once() {
	local n=0

	while [ $n -lt "$1" ]; do
		n=$((n + 1))
		fetch 65536 >/tmp/flow.$n &
	done
	wait
	while [ $n -gt 0 ]; do
		[ "$(stat -c %s /tmp/flow.$n)" = 65536 ] ||
			fail "connection $n: $(stat -c %s /tmp/flow.$n) bytes"
		n=$((n - 1))
	done
}

# flows N QUEUES: so many connections at once; two queues get some of each.
flows() {
	local before after i

	before=$(spread "$2")
	at_once "$1"
	after=$(spread "$2")
	for i in 1 2; do
		[ "$(echo "$after" | cut -d ' ' -f $i)" -gt \
			"$(echo "$before" | cut -d ' ' -f $i)" ] ||
			fail "queue $i got nothing: $before, then $after"
	done
	tell "spread $before then $after"
}
