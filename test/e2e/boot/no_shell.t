# SPDX-License-Identifier: MIT
# The release image reads nothing from COM3.
. test/e2e/lib.sh
for_flavour release

case_ignored() {
	local before

	vmm_start --igvm "$igvm" -p 2
	expect 'paravisor: up on 2 VPs' 40
	sleep 2
	before=$(wc -c <"$com3")
	# shellcheck disable=SC2016 # for a shell that must not be there
	send 'echo $((6*7))'
	send 'reboot -f'
	sleep 3
	vmm_running || fail "input on COM3 ended the machine"
	! grep -aq '42' <(tail -c +$((before + 1)) "$com3") ||
		fail "input on COM3 was executed"
	[ "$(wc -c <"$com3")" = "$before" ] ||
		fail "input on COM3 had an answer, or an echo"
	vmm_stop
}

run_cases 'ignored: what is typed on COM3 is not read'
