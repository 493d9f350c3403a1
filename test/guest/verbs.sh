# SPDX-License-Identifier: MIT
#
# The verbs program on the NICs of a guest without VTL2: the kernel's mana_ib
# gives it their queues as long as nobody has them up. Two NICs are two ports of
# one device.
set -u

fail() {
	echo "verbs: $*"
	dmesg | tail -n 20
	exit 1
}

pace=$(sed -n 's/.*\bpace=\([0-9]*\).*/\1/p' /proc/cmdline)

modprobe mana || fail "modprobe mana: $?"
wait_for /sys/class/net/eth1 $((20 * pace)) || fail "no eth1"
modprobe mana_ib || fail "modprobe mana_ib: $?"
modprobe ib_uverbs || fail "modprobe ib_uverbs: $?"
wait_for /dev/infiniband/uverbs0 $((10 * pace)) || fail "no uverbs0"
echo "verbs: $(echo /sys/class/infiniband/*) gives queues away"
verbs -p 1 -q 2 region isolation loopback || fail "verbs: status $?"
# The kernel's driver has the port again, and what runs on it.
ip link set eth0 up || fail "eth0 up after it: $?"
verbs -p 1 loopback && fail 'queues beside those of the kernel'
ip link set eth0 down
rmmod mana_ib || fail "rmmod mana_ib: $?"
rmmod mana || fail "rmmod mana: $?"
echo 'verbs: done'
exit 0
