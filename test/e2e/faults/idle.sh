# SPDX-License-Identifier: MIT
#
# A guest that does nothing; sourced after start.sh.
# shellcheck shell=bash

# in_vtl2 LABEL: what VTL2's kernel counts, in $case_dir/LABEL; COM3 is its shell.
# The time in user mode stands there twice, as the shell's commands take some.
in_vtl2() {
	local at

	at=$(wc -c <"$com3")
	# shellcheck disable=SC2016 # for the shell in VTL2
	send 'grep "^cpu " /proc/stat; cat /proc/uptime; grep HVS /proc/interrupts; grep "^cpu " /proc/stat; echo sa""id '"$1"
	expect "^said $1" 30
	tail -c +"$((at + 1))" "$com3" | tr -d '\r' >"$case_dir/$1"
}

# From the lines of in_vtl2: hundredths of a second since the start, those in user
# mode, and ticks of VTL2's kernel. All of its user mode, because what it says of a
# thread is a share of all the time of that thread, in which VTL0 runs, too: after
# a minute of VTL0 a small share of another size is half a second. Time in the
# kernel is no figure for the same reason.
uptime_of() { awk '/^[0-9.]+ [0-9.]+$/ { print $1 * 100; exit }' "$1"; }
user_after() { awk '/^cpu +[0-9]/ { n = $2 } END { print n + 0 }' "$1"; }
user_before() { awk '/^cpu +[0-9]/ { print $2; exit }' "$1"; }
ticks_of() { awk '/HVS:/ { print $2 + $3; exit }' "$1"; }

# A pass is a turn of a VP's reactor: the daemon was awake.
passes_of() {
	sed 1d "$1" | jq '[.. | .reactor? | .passes? // empty] | add'
}
entries_of() {
	head -n 1 "$1" | jq '[.ok.machine.vps[] | .entries_intercept +
		.entries_interrupt] | add'
}

# idle SECONDS
idle() {
	local before=$case_dir/before after=$case_dir/after time user passes

	com1=$case_dir/com1
	control=$PWD/$case_dir/control vsock=$PWD/$case_dir/vsock
	vmm_limit=$(($1 + 200)) vmm_start --igvm "$igvm" -m 512MB -p 2 \
		-c loglevel=7 --vtl0-kernel "$guest_kernel/vmlinuz" \
		--vtl0-initrd "$guest_initrd" \
		--vtl0-append "console=ttyS0 quiet loglevel=4 idle" \
		--vmbus-com1-serial "file=$com1" --stats "$case_dir/stats" \
		--control "$control" --vtl2-vsock-path "$vsock" \
		--disk mem:32M,uh-nvme
	expect '^faults: idle' 90 "$com1"
	shell_open 40
	sleep $((5 * PACE))
	stats_to "$before"
	in_vtl2 first
	sleep "$1"
	in_vtl2 last
	stats_to "$after"
	vmm_stop
	time=$(($(uptime_of "$case_dir/last") - $(uptime_of "$case_dir/first")))
	user=$(($(user_before "$case_dir/last") - \
		$(user_after "$case_dir/first")))
	passes=$(($(passes_of "$after") - $(passes_of "$before")))
	echo "in $((time / 100)) s the daemon was awake $passes times (what" \
		"asks for it included) and took $((user * 10)) ms; VTL2 was" \
		"entered $(($(entries_of "$after") - $(entries_of "$before")))" \
		"times, for ticks of its kernel" \
		"$(($(ticks_of "$case_dir/last") - $(ticks_of "$case_dir/first")))" \
		>>"$case_dir/figures"
	[ $time -ge $(($1 * 100)) ] || fail "$time hundredths of a second only"
	# VTL2's clock samples: whoever runs when it looks gets all that passed
	# since, 40 ms in the lab; two samples may meet it by chance.
	[ $passes -le $((time * 5 / 100)) ] &&
		[ $user -le $((time * PACE / 1000 + 8)) ] ||
		fail "$(cat "$case_dir/figures")"
}
