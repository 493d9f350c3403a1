# SPDX-License-Identifier: MIT
# An unmodified kernel in VTL0 looks at its platform. One start serves most
# cases; what it said is judged piece by piece.
. test/e2e/lib.sh
. test/e2e/platform/start.sh

start_dir=build/log/$area/start

# said REGEX: the guest of the long start did.
said() {
	grep -aEq "$1" "$start_dir/com1" ||
		fail "no \`$1' in the guest's output"
}

# number NAME: the value the guest gave it.
number() {
	grep -aoE "^platform: $1 [0-9]+" "$start_dir/com1" |
		grep -oE '[0-9]+$' || fail "the guest does not say $1"
}

# The long start: the guest runs its whole script. VTL2 lies in a hole of VTL0's
# 3 GiB. The host's clock is read when the guest says that a second begins.
case_start() {
	local rtc host

	platform_start iomem=relaxed -m 3GB -p 2 \
		--vmbus-com2-serial "file=$PWD/$case_dir/com2" \
		--control "$PWD/$case_dir/control"
	expect 'waiting for an NMI' 60 "$com1"
	echo '{"id":1,"cmd":"nmi"}' |
		timeout 5 socat - "UNIX-CONNECT:$case_dir/control" \
			>"$case_dir/nmi" || fail "the control socket"
	grep -q '"ok"' "$case_dir/nmi" || fail "nmi: $(cat "$case_dir/nmi")"
	expect '^platform: rtc [0-9]+ s' 30 "$com1"
	host=$(date +%s)
	rtc=$(number rtc)
	echo "$rtc $host" >"$case_dir/clocks"
	vmm_end 0 40
	grep -aq '^guest-exit: 0' "$com1" || fail "the guest's script failed"
}

case_tables() {
	local name data

	grep -a '^table: ' "$start_dir/com1" >"$case_dir/tables" ||
		fail "the guest sent no tables"
	while read -r _ name data; do
		base64 -d <<<"${data%$'\r'}" >"$case_dir/$name.dat" ||
			fail "$name did not come over whole"
	done <"$case_dir/tables"
	for name in APIC DSDT FACP FACS; do
		iasl -d "$case_dir/$name.dat" >"$case_dir/$name.iasl" 2>&1 ||
			fail "iasl cannot read $name"
		[ -s "$case_dir/$name.dsl" ] || fail "$name: nothing came out"
		! grep -iE 'warning|error' "$case_dir/$name.iasl" ||
			fail "iasl complains of $name"
	done
}

case_rtc() {
	local rtc host

	read -r rtc host <"$start_dir/clocks"
	[ $((host - rtc)) -ge -1 ] && [ $((host - rtc)) -le 1 ] ||
		fail "RTC $rtc, host $host"
}

case_acpi_pm() {
	local pm rtc

	said '^platform: clocksources .*acpi_pm'
	said '^platform: clocksource acpi_pm'
	read -r pm rtc < <(sed -nE \
		's/^platform: acpi_pm ([0-9]+) cs while rtc ([0-9]+) s.*/\1 \2/p' \
		"$start_dir/com1")
	note "acpi_pm ${pm}0 ms while the RTC counted $rtc s"
	[ $((pm - rtc * 100)) -ge -100 ] && [ $((pm - rtc * 100)) -le 100 ] &&
		[ "$rtc" -ge 4 ] ||
		fail "acpi_pm counted ${pm}0 ms, the RTC $rtc s"
}

case_memory() {
	said '^platform: iomem 00100000-6fffffff : System RAM'
	said '^platform: iomem 100000000-14fffffff : System RAM'
	[ "$(number memory)" -ge 2850 ] || fail "of 3072 MiB $(number memory)"
	said '^platform: normal zone [0-9]+ pages, [1-9][0-9]{3,} in use'
}

case_interrupts() {
	said '^platform: com1 [0-9]+ .*IO-APIC +4-edge +ttyS0'
	said '^platform: com2 [0-9]+ .*IO-APIC +3-edge +ttyS1'
	said '^platform: sci [0-9]+ .*IO-APIC +9-fasteoi +acpi'
	[ "$(number com1)" -gt 0 ] || fail "COM1 has no interrupts"
	[ "$(number com2)" -gt "$(number com2-before)" ] ||
		fail "COM2's output raised no interrupt"
	# One event was raised. An SCI beyond it was seen once, on a slow lab,
	# and not among 3,600 raised to find it: shown here, and counted in
	# soak/platform.t.
	[ "$(number sci)" -gt "$(number sci-before)" ] ||
		fail "$(number sci) SCIs after $(number sci-before)"
	[ "$(number sci-ff_gbl_lock)" -ge 1 ] || fail "ACPI saw no event"
	note "SCIs $(number sci-before) -> $(number sci)," \
		"events $(number sci-ff_gbl_lock)," \
		"without one $(number sci-sci_not)"
	[ "$(tr -dc z <"$start_dir/com2" | wc -c)" = 200 ] ||
		fail "COM2 did not give 200 bytes"
}

case_nmi() {
	[ "$(number nmi-self)" = $(($(number nmi-before) + 1)) ] ||
		fail "no NMI by the guest's ICR"
	[ "$(number nmi-host)" = $(($(number nmi-self) + 1)) ] ||
		fail "no NMI from the host"
	[ "$(grep -ac '^platform: dmesg .*NMI received for unknown reason' \
		"$start_dir/com1")" = 2 ] || fail "they were not logged"
}

case_instructions() {
	said '^platform: platform_io passed'
	! grep -a '^io: FAILED' "$start_dir/com1" || fail "not all instructions"
	[ "$(grep -ac '^io: ok' "$start_dir/com1")" = 26 ] ||
		fail "$(grep -ac '^io: ok' "$start_dir/com1") checks, not 26"
	grep -aq 'sent by rep outsb, byte for byte' "$start_dir/com2" ||
		fail "COM2 lost what rep outsb sent"
}

case_one_vp() { cpus 1 0 ''; }
case_four_vps() { cpus 4 '0 1 2 3' ''; }
case_apic_ids() { cpus 3 '0 2 4' '' --apic-ids even; }

run_cases 'start: the guest with 2 VPs and 3 GiB runs its script' \
	'tables: iasl reads the guest'"'"'s ACPI tables without a warning' \
	'rtc: the RTC is the clock of the host, within a second' \
	'acpi_pm: the PM timer is a clocksource, and keeps time' \
	'memory: RAM on both sides of the hole and above 4 GiB is used' \
	'interrupts: COM1, COM2 and the SCI come through the I/O APIC' \
	'nmi: an NMI of the guest'"'"'s own and one of the host' \
	'instructions: string I/O, string moves and locked ones on devices' \
	'one_vp: 1 VP' \
	'four_vps: 4 VPs' \
	'apic_ids: 3 VPs whose APIC ids are not their numbers'
