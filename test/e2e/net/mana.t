# SPDX-License-Identifier: MIT
# hv_netvsc in VTL0, as Debian has it, on a MANA vport of VTL2.
. test/e2e/lib.sh
. test/e2e/living.sh
. test/e2e/net/start.sh
net_guest net

[ "$FLAVOUR" = debug ] ||
	note "whole: without the debug image's shell, descriptors and pages" \
		"of the daemon are not counted"

case_whole() {
	local com1_serial

	com1_serial=listen=$(com1_socket)
	server_start $((32 << 20))
	vmm_limit=400 net_start "job=all pings=1000 flows=8 rounds=10 wait=1" \
		--net uh:user
	com1_join
	waits before 300
	[ "$FLAVOUR" != debug ] || shell_open 10
	before_and_after 120
	vmm_end 0 30
	server_stop
	says "$com1" '^guest-exit: 0'
	says "$com1" '^net: 00:15:5d:76:6d:00 hv_netvsc, PCI: 0'
	says "$com1" '^net: dhcp 10.0.2.15 router 10.0.2.2 dns 10.0.2.3'
	grep -aq '^net: pings 1000 1000,' "$com1" ||
		fail "$(grep -a '^net: pings' "$com1"); the device counted" \
			"$(jq -c '.host.mana.vports[0]' "$stats")"
	all_done 10
	# Of memory, what is less than a page a time cannot be told from noise.
	leaks_nothing 9
	says "$case_dir/server" '^server: take: good' 1
	# Data never left VTL0's memory, and the device saw no mistake.
	counted '.data_outside == 0 and .data_guest >= 2 * '$size' and
		.bad_access == 0 and .bad_wqes == 0 and .bad_messages == 0 and
		.foreign_doorbells == 0 and .overflows == 0'
	counted '.vports[0] | .tx_errors == 0 and .rx_truncated == 0 and
		.tx_lso > 100 and ([.rx_queue[] | select(. > 0)] | length) == 2'
}

# What the guest counted is what the device counted, but for the frames that
# the guest, going down, did not count any more.
counters_agree() {
	local rx tx device

	read -r rx tx < <(sed -n \
		's/^net: counters rx \([0-9]*\) tx \([0-9]*\).*/\1 \2/p' "$com1")
	device=$(jq -r '.host.mana.vports[0] | "\(.rx_frames) \(.tx_frames)"' \
		"$stats")
	echo "counters: guest $rx $tx, device $device" >"$case_dir/counters"
	[ "$rx" -gt 100 ] && [ "$tx" -gt 100 ] || fail "guest: rx $rx, tx $tx"
	[ $((${device% *} - rx)) -ge 0 ] && [ $((${device% *} - rx)) -le 8 ] &&
		[ $((${device#* } - tx)) -ge 0 ] &&
		[ $((${device#* } - tx)) -le 8 ] ||
		fail "$(cat "$case_dir/counters")"
}

case_two() {
	server_start $((1 << 20))
	net_start "job=quick pings=0 flows=0 rounds=0" \
		--net uh:user --net uh:null
	vmm_end 0 180
	server_stop
	says "$com1" '^guest-exit: 0'
	says "$com1" "^net: $size bytes each way" 1
	counters_agree
	# What went over the first never was on the second.
	counted '(.vports[0].tx_frames > 100) and
		(.vports[1].tx_frames < 50) and (.vports[1].rx_frames == 0)'
}

run_cases \
	'whole: DHCP, 1000 pings, 32 MiB each way, two channels, MTU, 10 reloads that leak nothing' \
	'two: two vports, each with its own frames'
note "$(grep -a '^net: pings' "build/log/$area/whole/com1" 2>/dev/null)"
note "$(grep -a '^net: round-trip' "build/log/$area/whole/com1" 2>/dev/null)"
note "whole: $(jq -c '.host.mana | del(.vports)' \
	"build/log/$area/whole/stats" 2>/dev/null)"
sed 's/^/# whole: /' "build/log/$area/whole/process" 2>/dev/null || true
sed 's/^/# two: /' "build/log/$area/two/counters" 2>/dev/null || true
