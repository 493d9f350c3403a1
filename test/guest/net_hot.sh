# SPDX-License-Identifier: MIT
#
# Two NICs, of which the second goes and comes while the first moves data. On
# the command line, beside what net_lib.sh says: `second=MAC', `rounds=N'.
set -u
prefix=net
. /lib/net.sh

second=$(value second)

# The interface with the second's address; nothing: there is none.
there() {
	for nic in /sys/class/net/eth*; do
		[ "$(cat "$nic/address" 2>/dev/null)" != "$second" ] ||
			echo "${nic##*/}"
	done
}

is_there() { [ -n "$(there)" ]; }
is_gone() { [ -z "$(there)" ]; }

# until_second is_there|is_gone
until_second() {
	i=0
	until "$1"; do
		[ $i -lt $((60 * pace)) ] || fail "round $round: not $1"
		i=$((i + 1))
		sleep 1
	done
}

# Data on the first for as long as there is the file.
works_on() {
	n=0
	while [ -e /tmp/works ]; do
		fetch "$bytes" >/tmp/data
		[ "$(sha256sum </tmp/data | cut -d ' ' -f 1)" = "$sum" ] || {
			tell "data of transfer $n are wrong"
			return
		}
		n=$((n + 1))
		tell "transfer $n"
	done
	echo $n >/tmp/worked
}

wait_for /sys/class/net/eth1 $((20 * pace)) || fail "no eth1"
up
dhcp
reaches
is_there || fail "no NIC has the address $second"
: >/tmp/works
works_on &
round=0
while [ $round -lt "$(value rounds)" ]; do
	round=$((round + 1))
	ip link set "$(there)" up || fail "round $round: up: $?"
	tell "round $round: there"
	until_second is_gone
	tell "round $round: gone"
	until_second is_there
done
ip link set "$(there)" up || fail "up at last: $?"
tell "back $(there) $(ethtool -i "$(there)" | sed -n 's/^driver: //p')"
rm /tmp/works
wait_for /tmp/worked $((120 * pace)) || fail "the first does not work any more"
[ "$(cat /tmp/worked)" -ge 1 ] || fail "no transfer"
reaches
tell "$(cat /tmp/worked) transfers meanwhile"
