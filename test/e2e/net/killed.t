# SPDX-License-Identifier: MIT
# The daemon is killed while its NIC receives: the kernel takes the device back,
# and nothing is written to memory any more.
. test/e2e/lib.sh
. test/e2e/net/start.sh
for_flavour debug
net_guest net

# The kernel's driver keeps the two queues of the hardware channel.
idle='.now_mrs == 0 and .now_pds == 0 and .now_regions == 0 and .now_wqs == 2'

# device FILTER: a figure of the model's, now.
device() { ask stats | jq -e ".ok.mana | $1"; }

case_killed() {
	local i before after

	server_start $((256 << 20))
	net_start "job=quick pings=0 flows=0 rounds=0" --net uh:user \
		-c PARAVISOR_HOLD=1
	expect '^net: dhcp' 60 "$com1"
	shell_open 40
	for ((i = 0; i < 40 * PACE; i++)); do
		[ "$(device .data_guest)" -lt $((1 << 20)) ] || break
		vmm_running || break
		sleep 1
	done
	[ "$(device .data_guest)" -ge $((1 << 20)) ] || fail "no traffic"
	device '.now_mrs > 0 and .now_wqs > 2' >/dev/null ||
		fail "the model counts no regions or queues of the daemon's"
	note "in use: $(device '{now_eqs, now_mrs, now_pds, now_regions, now_wqs}' | tr -d ' \n')"
	# shellcheck disable=SC2016 # for the shell in VTL2
	send 'kill -9 $(pidof paravisor)'
	expect 'PARAVISOR_HOLD: staying up' 20
	for ((i = 0; i < 10 * PACE; i++)); do
		device "$idle" >/dev/null && break
		sleep 1
	done
	before=$(device '[.data_guest, .data_outside, .bad_access]')
	sleep 5
	after=$(device '[.data_guest, .data_outside, .bad_access]')
	note "received by then, outside, refused: $(tr -d ' \n' <<<"$after")"
	device "$idle" >/dev/null ||
		fail "left in the device: $(device '{now_mrs, now_pds, now_wqs}')"
	[ "$before" = "$after" ] || fail "data after the end: $before, $after"
	jq -ne --argjson a "$after" '$a[1] == 0 and $a[2] == 0' >/dev/null ||
		fail "outside or refused: $after"
	vmm_stop
	server_stop
	allow 'paravisor was killed'
}

run_cases 'killed: the daemon is killed under traffic: no region, no queue, no data after it'
