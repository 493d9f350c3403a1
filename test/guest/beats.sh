# SPDX-License-Identifier: MIT
#
# NICs and a disk that are in use all the time, while the host makes trouble.
# On the command line, beside what net_lib.sh says, `nics=N': eth0 to ethN-1,
# each with the host's server at the other end of a wire of its own. Of each the
# host sees `beat: ethN COUNT' when data came whole once more, or `beat: ethN
# misses'; of the disk `beat: disk COUNT'.
set -u
prefix=beat
. /lib/net.sh

# The wires know nothing of each other, and have the same addresses.
nic_start() {
	wait_for "/sys/class/net/eth$1" $((20 * pace)) || fail "no eth$1"
	ip link set "eth$1" up || fail "eth$1 up: $?"
	ifconfig "eth$1" "10.0.2.$((15 + $1))" netmask 255.255.255.0
}

nic_beats() {
	local n=0 said

	while :; do
		said=$(timeout $((4 * pace)) socat -u -b 65536 \
			"TCP:$host:$port,so-bindtodevice=eth$1" - 2>/dev/null |
			sha256sum | cut -d ' ' -f 1)
		if [ "$said" = "$sum" ]; then
			n=$((n + 1))
			tell "eth$1 $n"
		else
			tell "eth$1 misses"
		fi
		sleep 0.2
	done
}

disk_beats() {
	local n=0 first said

	first=$(dd if=/dev/sda bs=64k count=8 iflag=direct 2>/dev/null | sha256sum)
	while :; do
		said=$(dd if=/dev/sda bs=64k count=8 iflag=direct 2>/dev/null |
			sha256sum)
		[ "$said" = "$first" ] || tell "disk misses"
		n=$((n + 1))
		tell "disk $n"
		sleep 1
	done
}

wait_for /dev/sda $((20 * pace)) || fail "no disk"
nic=0
while [ $nic -lt "$(value nics)" ]; do
	nic_start $nic
	nic_beats $nic &
	nic=$((nic + 1))
done
disk_beats &
wait
