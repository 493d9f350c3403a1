# SPDX-License-Identifier: MIT
# hv_netvsc in VTL0 on a tap: the daemon's other backend, for machines without
# MANA. The peer is VTL2's own kernel, by what BusyBox has for that.
. test/e2e/lib.sh
. test/e2e/living.sh
. test/e2e/net/start.sh
for_flavour debug
net_guest net

# 2 MiB, the same wherever they are made.
lines='seq 1000000 1262143'

# peer_start: 10.0.2.2 on the tap, with what mana_server.py does.
peer_start() {
	send 'ifconfig t0 10.0.2.2 netmask 255.255.255.0 up'
	send "$lines >/tmp/data"
	# shellcheck disable=SC2016 # for the shell in VTL2
	send 'echo '\''s=$(head -c '"$size"' | sha256sum); s=${s%% *}
[ $s = '"$sum"' ] && echo good || echo "wrong: $s"'\'' >/tmp/take'
	send "nc -ll -p $port -e cat /tmp/data &"
	send "nc -ll -p $((port + 1)) -e sh /tmp/take &"
	sleep $((2 * PACE))
}

case_tap() {
	local com1_serial frames

	com1_serial=listen=$(com1_socket)
	size=$((2 << 20)) sum=$($lines | sha256sum | cut -d ' ' -f 1)
	port=5000
	build/host/vmm --igvm "$igvm" --net uh:user --print-settings |
		jq '.nics[0] |= { instance, backend: { tap: { name: "t0" }}}' \
		>"$case_dir/settings" || fail "no settings"
	net_start "job=all pings=200 flows=8 rounds=10 wait=1 address=10.0.2.15" \
		--settings "$case_dir/settings"
	com1_join
	shell_open 60
	waits peer 90
	peer_start
	go_on
	waits before 200
	# The other side goes for a while, and comes back.
	send 'ifconfig t0 down; sleep 1; ifconfig t0 up'
	before_and_after 120
	vmm_end 0 30
	says "$com1" '^guest-exit: 0'
	says "$com1" '^net: [0-9a-f:]* hv_netvsc, PCI: 0'
	says "$com1" '^net: pings 200 200,'
	all_done 10
	leaks_nothing 9
	jq -es '[.[1].vmbus.channels[] | .tap? // empty] | length > 0 and
		all(.device.interface == "t0" and .rx_dropped == 0)' \
		"$case_dir/after" >/dev/null ||
		fail "$(jq -cs '[.[1].vmbus.channels[].tap?]' "$case_dir/after")"
	# Large sends stayed large: one by one, the segments are 1449. A slow
	# sender makes them of two segments (tcp_min_tso_segs), which is 725.
	frames=$(sed -n 's/^net: sent in \([0-9]*\) frames.*/\1/p' "$com1")
	[ "$frames" -lt 800 ] || fail "2 MiB were sent in $frames frames"
}

run_cases 'tap: pings, 2 MiB each way, two channels, MTU, 10 reloads that leak nothing'
sed -n 's/^net: \(sent in\|pings\)/# tap: \1/p' "build/log/$area/tap/com1" 2>/dev/null ||
	true
sed 's/^/# tap: /' "build/log/$area/tap/process" 2>/dev/null || true
