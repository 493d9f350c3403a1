# SPDX-License-Identifier: MIT
# VTL2 boots, on COM3.
. test/e2e/lib.sh

up='paravisor: up on'

# boots_with VPS: the kernel's own count and the daemon's.
boots_with() {
	vmm_start --igvm "$igvm" -p "$1" -c loglevel=7
	expect 'Linux version 7\.' 15
	expect "$up $1 VPs?" 40
	grep -aEq "smp: Brought up 1 node, $1 CPU|SMP: Total of $1 processors" \
		"$com3" || fail "the kernel did not bring up $1 CPUs"
	vmm_stop
}
case_one_vp() { boots_with 1; }
case_two_vps() { boots_with 2; }
case_four_vps() { boots_with 4; }

# PID 1 that is not there: the kernel panics before any of our code runs.
case_panic() {
	allow 'Call Trace:'
	vmm_start --igvm "$igvm" -p 2 -c rdinit=/nonexistent
	vmm_end 4 40
	grep -aq 'Kernel panic - not syncing' "$com3" ||
		fail "the panic is not on COM3"
	[ "$(grep -c . "$vmm_log")" -ge 1 ] ||
		fail "vmm does not say why it ended"
}

# Settings that VTL2 does not take: vmm's last line says what is wrong, and where.
case_settings() {
	echo '{"version":1,"storage":[],"colour":1}' >"$case_dir/settings.json"
	vmm_start --igvm "$igvm" -p 2 --settings "$case_dir/settings.json"
	vmm_end 2 60
	grep -q 'could not start VTL0: /colour: ' "$vmm_log" ||
		fail "vmm does not say why: $(tail -n 1 "$vmm_log")"
}

# More than the boot shim can put behind the image's own: it ends, and says why.
case_long_line() {
	local long

	long=$(printf 'x%.0s' {1..2047})
	vmm_start --igvm "$igvm" -p 2 -c "$long"
	vmm_end 4 40
	grep -q 'command line with /chosen bootargs is longer than' \
		"$vmm_log" || fail "vmm does not say why"
}

run_cases 'one_vp: VTL2 boots with 1 VP' \
	'two_vps: VTL2 boots with 2 VPs' \
	'four_vps: VTL2 boots with 4 VPs' \
	'panic: a panic in VTL2 ends vmm with 4, its text on COM3' \
	'settings: wrong settings end vmm with 2, which and why on stderr' \
	'long_line: what the boot shim does not take is on stderr'
