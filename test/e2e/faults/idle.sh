# SPDX-License-Identifier: MIT
#
# A guest that does nothing; sourced after start.sh.
# shellcheck shell=bash

# in_vtl2 LABEL: what VTL2's kernel counts, in $case_dir/LABEL; COM3 is its shell.
in_vtl2() {
	local at

	at=$(wc -c <"$com3")
	# shellcheck disable=SC2016 # for the shell in VTL2
	send 'cat /proc/uptime; head -n 1 /proc/stat; cd /proc/$(pidof paravisor)/task; for t in *; do echo task $(cut -d " " -f 2,14,15 $t/stat) $(grep ctxt $t/status | cut -f 2); done; cat /proc/interrupts; cd /; echo sa""id '"$1"
	expect "^said $1" 30
	tail -c +"$((at + 1))" "$com3" | tr -d '\r' >"$case_dir/$1"
}

# idle SECONDS
idle() {
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
	in_vtl2 first
	stats_to "$case_dir/before"
	sleep "$1"
	stats_to "$case_dir/after"
	in_vtl2 last
	vmm_stop
}
