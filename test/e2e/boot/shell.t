# SPDX-License-Identifier: MIT
# The debug image's shell on COM3.
. test/e2e/lib.sh
for_flavour debug

case_answers() {
	vmm_start --igvm "$igvm" -p 2
	# The last line that anybody but the shell writes.
	expect 'paravisor: no kernel for VTL0' 40
	shell_open 10
	# shellcheck disable=SC2016 # for the shell in VTL2
	send 'echo $((6*7))'
	expect '^42.?$' 10
	# An interrupt of the UART's would be the number of some device's MSI.
	send 'cat /proc/interrupts; echo interrupts: end'
	expect '^interrupts: end' 10
	! grep -a '[ ,]ttyS[0-9]' "$com3" || fail "the UART of COM3 has an interrupt"
	vmm_stop
}

case_sysrq() {
	allow 'Call Trace:'
	vmm_start --igvm "$igvm" -p 2
	shell_open 40
	send 'echo c >/proc/sysrq-trigger'
	vmm_end 4 20
	grep -aq 'sysrq triggered crash\|Kernel panic' "$com3" ||
		fail "the crash is not on COM3"
}

run_cases 'answers: echo $((6*7)) typed on COM3 answers 42' \
	'sysrq: a crash asked for in the shell ends vmm with 4'
