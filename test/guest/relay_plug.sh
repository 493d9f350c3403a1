# SPDX-License-Identifier: MIT
#
# A guest whose host takes its SCSI controller and its NIC away, at any step that
# their drivers are at, and gives them back. On the command line `rounds=LIST',
# each STEP:TENTHS, what the driver of the NIC does so many tenths of a second
# after the guest said that the round begins:
#
#	offered	  it is not there
#	opening	  it begins to open
#	running	  frames come and go
#	closing	  it begins to close
#	scsi	  and the controller, while its disk is read
#
# Meanwhile a disk of VTL2's own is written and read back, all the time.
set -u
prefix=plug
. /lib/net.sh

nic=2c6e83b4-1f0d-4d92-a758-766d6d000100
controller=2c6e83b4-1f0d-4d92-a758-766d6d000003
devices=/sys/bus/vmbus/devices

# disk_of: the disk behind the relayed controller, or with `not', VTL2's.
disk_of() {
	local disk

	for disk in /sys/block/sd*; do
		case $(readlink -f "$disk/device") in
		*$controller*) [ "${1-}" = not ] || basename "$disk";;
		*) [ "${1-}" != not ] || basename "$disk";;
		esac
	done
}

# until SECONDS COMMAND: or not at all.
until_true() {
	local i=$(($1 * pace * 10))

	shift
	while ! "$@"; do
		i=$((i - 1))
		[ $i -gt 0 ] || return 1
		usleep 100000
	done
}
absent() { [ ! -e "$devices/$1" ]; }
has_disk() { [ -n "$(disk_of)" ] && [ -b "/dev/$(disk_of)" ]; }

# Uptime in tenths of a second.
now() { sed 's/\([0-9]*\)\.\([0-9]\).*/\1\2/' /proc/uptime; }

alive() {
	local n=0 last gap=0 at

	last=$(now)
	while [ ! -e /tmp/end ]; do
		n=$((n + 1))
		printf '%-4096s' "alive $n $$" >/tmp/alive.out
		dd if=/tmp/alive.out of="/dev/$1" bs=4k seek=$((n % 64)) \
			oflag=direct conv=notrunc 2>/dev/null ||
			echo "write $n" >>/tmp/wrong
		dd if="/dev/$1" of=/tmp/alive.in bs=4k skip=$((n % 64)) \
			count=1 iflag=direct 2>/dev/null
		cmp -s /tmp/alive.out /tmp/alive.in ||
			echo "block $n" >>/tmp/wrong
		at=$(now)
		[ $((at - last)) -le $gap ] || gap=$((at - last))
		last=$at
	done
	echo "$n blocks, the longest $gap tenths" >/tmp/alive
}

works_again() {
	modprobe hv_netvsc || fail "$1: modprobe: $?"
	until_true 20 test -e /sys/class/net/eth0 || fail "$1: no eth0 again"
	up
	ifconfig eth0 10.0.2.15 netmask 255.255.255.0
	reaches
}

until_true 20 has_disk || fail "no relayed disk"
until_true 20 test -e /sys/class/net/eth0 || fail "no eth0"
alive "$(disk_of not)" &
sum=$(sha256sum <"/dev/$(disk_of)")
works_again start
n=0
for round in $(value rounds | tr , ' '); do
	n=$((n + 1))
	delay=$((${round#*:} * 100000))
	case $round in
	offered*|opening*) rmmod hv_netvsc || fail "rmmod: $?";;
	running*) ping -q -i 0.01 $host >/dev/null 2>&1 &;;
	scsi*)
		(dd if="/dev/$(disk_of)" of=/dev/null bs=64k iflag=direct
		dd if="/dev/$(disk_of)" of=/dev/null bs=64k iflag=direct
		) 2>/dev/null &;;
	esac
	tell "round $n $round"
	usleep $delay
	case $round in
	opening*) modprobe hv_netvsc;;
	closing*) rmmod hv_netvsc;;
	esac
	if [ "${round%:*}" = scsi ]; then
		until_true 60 absent $controller || fail "$n: it is still there"
		tell "gone $n"
		until_true 40 has_disk || fail "$n: no disk again"
		[ "$(sha256sum <"/dev/$(disk_of)")" = "$sum" ] ||
			fail "$n: another disk"
	else
		until_true 60 absent $nic || fail "$n: it is still there"
		tell "gone $n"
		until_true 40 test -e $devices/$nic || fail "$n: no NIC again"
		killall ping 2>/dev/null
		works_again "$n"
	fi
	tell "works $n"
done
touch /tmp/end
wait_for /tmp/alive $((20 * pace)) || fail "the other disk stands"
[ ! -e /tmp/wrong ] || fail "the other disk: $(head -n 1 /tmp/wrong)"
tell "alive: $(cat /tmp/alive)"
tell "done"
