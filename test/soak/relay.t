# SPDX-License-Identifier: MIT
# A guest with relayed devices at work starts 120 times more: 100 reboots, and
# 20 kexecs among them.
. test/e2e/lib.sh
for_flavour debug
. test/e2e/relay/again.sh

case_again() {
	local n ends=''

	for ((n = 0; n < 20; n++)); do
		ends+=reboot,reboot,kexec,reboot,reboot,reboot,
	done
	vmm_limit=6000 again_start "$ends"
	for ((n = 1; n <= 121; n++)); do
		again_look $n
		[ $n -lt 3 ] || again_same $n
		go_on
	done
	vmm_end 0 60
	says "$com1" '^guest-exit: 0'
	says "$com1" '^again: ends by kexec' 20
	says "$com3" 'VTL0: reset' 100
	says "$com3" 'Linux version' 1
}

run_cases 'again: 100 reboots and 20 kexecs under I/O leave nothing behind'
