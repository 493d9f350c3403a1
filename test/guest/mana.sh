# SPDX-License-Identifier: MIT
#
# Debian's mana driver on the one NIC of a guest without VTL2. On the command
# line: `port=N', where a server sends, and on the next port takes, `bytes=N'
# bytes whose SHA-256 is `sum='; `rounds=N' times down and up; `flows=N'
# connections at once to see them spread.
set -u

prefix=mana
. /lib/net.sh

queues='rx_*_packets'

modprobe mana || fail "modprobe: $?"
wait_for /sys/class/net/eth0 $((20 * pace)) || fail "no eth0"
echo "mana: $(cat /sys/class/net/eth0/address)" \
	"$(readlink /sys/class/net/eth0/device/driver | xargs basename)" \
	"$(cat /sys/class/net/eth0/device/vendor)" \
	"$(cat /sys/class/net/eth0/device/device)"
up
dhcp
reaches
transfer

ethtool -l eth0 | sed -n 's/^Combined:[^0-9]*/mana: combined /p' | xargs -n 3
[ "$(spread "$queues" | wc -w)" = 2 ] || fail "not two queues: $(spread "$queues")"
flows "$(value flows)" "$queues"
# Another key and table; then one queue, and two again.
ethtool -X eth0 equal 1 || fail "-X equal 1"
before=$(spread "$queues")
works '-X equal 1'
after=$(spread "$queues")
[ "${before#* }" = "${after#* }" ] || fail "equal 1: $before, then $after"
ethtool -X eth0 default 2>/dev/null || ethtool -X eth0 equal 2 ||
	fail "-X default"
ethtool -L eth0 combined 1 || fail "-L 1"
works '-L combined 1'
[ "$(spread "$queues" | wc -w)" = 1 ] || fail "not one queue: $(spread "$queues")"
ethtool -L eth0 combined 2 || fail "-L 2"
works '-L combined 2'

for name in hc_tx_bytes hc_rx_bytes hc_tx_ucast_pkts hc_rx_ucast_pkts; do
	i=0
	while [ "$(counter $name)" = 0 ] && [ $i -lt $((50 * pace)) ]; do
		i=$((i + 1))
		usleep 100000
	done
	[ "$(counter $name)" -gt 0 ] || fail "$name: $(counter $name)"
done
echo "mana: gf $(counter hc_tx_bytes) $(counter hc_rx_bytes)"

round=0
while [ $round -lt "$(value rounds)" ]; do
	round=$((round + 1))
	ip link set eth0 down || fail "round $round: down: $?"
	up
	reaches
done
echo "mana: $round rounds"
ip link set eth0 down
# All that the driver had is given back.
rmmod mana || fail "rmmod: $?"
modprobe mana || fail "modprobe again: $?"
wait_for /sys/class/net/eth0 $((20 * pace)) || fail "no eth0 again"
echo 'mana: done'
exit 0
