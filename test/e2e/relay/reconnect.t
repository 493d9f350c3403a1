# SPDX-License-Identifier: MIT
# A guest with relayed devices at work starts again, by itself or by the host's
# reset: nothing is kept of the last start.
. test/e2e/lib.sh
for_flavour debug
. test/e2e/relay/again.sh

case_reconnect() {
	local n

	vmm_limit=480 again_start \
		reboot,kexec,reboot,reboot,kexec,reboot,reboot
	for ((n = 1; n <= 8; n++)); do
		again_look $n
		[ $n -lt 3 ] || again_same $n
		go_on
	done
	vmm_end 0 60
	says "$com1" '^guest-exit: 0'
	says "$com1" '^again: ends by kexec' 2
	says "$com3" 'Linux version' 1
	says "$com3" 'VTL0: reset' 5
}

case_reset() {
	again_start ''
	expect '^again: start 1, 2 VPs' 90 "$com1"
	control reset
	expect '^again: start 2, 2 VPs' 120 "$com1"
	# VTL2 is another, too, and has what it had.
	says "$com3" 'Linux version' 2
	says "$com3" 'paravisor: up on 2 VPs' 2
	# VTL2 has 1.7 s to take a connection, which a busy lab is too slow for.
	for _ in 1 2 3 4 5; do
		! (stats_to "$case_dir/tree") || break
	done
	jq -es '.[1].relay.offers | length > 0 and all(.state == "relayed")' \
		"$case_dir/tree" >/dev/null || fail "not all is relayed again"
	go_on
	vmm_end 0 60
	says "$com1" '^guest-exit: 0'
}

run_cases 'reconnect: five reboots and two kexecs under I/O leave nothing behind' \
	"reset: the host's reset starts VTL2 and the guest anew, devices too"
