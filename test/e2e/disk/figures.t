# SPDX-License-Identifier: MIT
# Figures, printed: what a read costs in switches, signals and doorbells, what
# VTL2 weighs, and when the boot got where. VTL2's memory has a gate, and so have
# the counts that do not depend on how slow the machine is: entries do, since
# the ticks of VTL2's kernel are among them, 40 to 100 a second on each VP.
. test/e2e/lib.sh
. test/e2e/disk/start.sh

memory_gate=$((48 << 10)) # KiB, the kernel included
# For one read. At depth 32 a request that is served alone is one of a few: on a
# machine with little else to do 0.11, 0.11, 0.23 and 0.46 are measured, and up
# to 0.42, 0.42, 0.86 and 1.42 on one whose CPUs have three times as much to do.
# The gates are above that, and below what a guest costs that signals each
# request: 1.03, 0.97, 1.99 and 2.52.
gates_1='intercepts 1.3 signals 1.1 doorbells 2.1'
gates_32='intercepts 0.7 signals 0.7 doorbells 1.4 syscalls 1.9'

# A signal is an interrupt raised in VTL0: by an action that goes with a return
# to it, or by one of the hypercalls AssertVirtualInterrupt, SignalEventDirect.
# A system call is any of the daemon's threads that run VPs, which do all of a
# read; the daemon counts them where it makes them.
# per_read BEFORE AFTER READS: the differences for each read.
per_read() {
	jq -rs --argjson n "$3" 'def sum(f): [.ok.machine.vps[] | f] | add;
		def per(f): ((.[2] | f) - (.[0] | f)) / $n * 100 | round / 100;
		def calls: [.[] | .syscalls? // 0] + [.partition.hypercalls] | add;
		"entries \(per(sum(.entries_intercept + .entries_interrupt)))" +
		" (intercepts \(per(sum(.entries_intercept)))," +
		" for a timer \(per(sum(.entries_timer))))" +
		" signals \(per(sum(.actions) + (.ok.machine.hypercalls_vtl2 |
			(."0x94" // 0) + (."0xc0" // 0))))" +
		" interrupts of the model \(per(.ok.disks[0].nvme.interrupts))" +
		" doorbells \(per(.ok.disks[0].nvme.doorbells))" +
		" reads of the model \(per(.ok.disks[0].nvme.reads))" +
		" syscalls \(((.[3] | calls) - (.[1] | calls)) / $n * 100 |
			round / 100)"' "$1" "$2"
}

# within_gates DEPTH
within_gates() {
	local line gates name most value

	line=$(grep "^4 KiB read, depth $1:" "$case_dir/figures")
	gates=gates_$1
	# shellcheck disable=SC2086 # words
	set -- ${!gates}
	while [ $# -gt 0 ]; do
		name=$1 most=$2
		shift 2
		value=$(sed -n "s/.*[ (]$name \([0-9.]*\).*/\1/p" <<<"$line")
		jq -en "$value <= $most" >/dev/null ||
			fail "$line: $name ${value:-none}, the gate is $most"
	done
}

case_reads() {
	local depth reads

	control=$PWD/$case_dir/control vsock=$PWD/$case_dir/vsock
	# One channel, on the VP that reads: with more, Linux takes another
	# VP's on purpose, and each read costs a switch more.
	build/host/vmm --igvm "$igvm" --disk mem:128MB,uh-nvme -p 2 \
		--print-settings | jq -c '.storage[].sub_channels = 0' \
		>"$case_dir/settings"
	disk_start figures "$case_dir/stats" --disk mem:128MB,uh-nvme \
		--settings "$case_dir/settings" \
		--control "$control" --vtl2-vsock-path "$vsock"
	for depth in 1 32; do
		expect "disk: before depth $depth" 60 "$com1"
		stats_to "$case_dir/before.$depth"
		expect "disk: after depth $depth" 60 "$com1"
		stats_to "$case_dir/after.$depth"
		reads=$(sed -n "s/.*after depth $depth, \([0-9]*\).*/\1/p" \
			"$com1")
		echo "4 KiB read, depth $depth:" "$(per_read \
			"$case_dir/before.$depth" "$case_dir/after.$depth" \
			"$reads")" >>"$case_dir/figures"
		jq -es '[.[0, 2].ok.disks[0].nvme] |
			.[1].reads - .[0].reads >= '"$reads"' and
			.[1].pieces_outside == .[0].pieces_outside' \
			"$case_dir/before.$depth" "$case_dir/after.$depth" >/dev/null ||
			fail "depth $depth: reads are missing, or data went" \
				"outside of VTL0's RAM"
		within_gates $depth
	done
	grep -a '^disk: fio' "$com1" | tr -d '\r' >>"$case_dir/figures"
	grep -aE 'up on|VTL0 runs|client connected|storvsp: protocol' "$com3" |
		sed 's/\r//; s/^[^[]*\[ */boot: [/' >>"$case_dir/figures"
	[ "$FLAVOUR" != debug ] || vtl2_memory
	vmm_end 0 60
	says "$com1" '^guest-exit: 0'
}

# VTL2's RAM less what is free there, asked for in its shell.
vtl2_memory() {
	local ram free used

	expect '^disk: done' 30 "$com1"
	shell_open 30
	send 'grep MemAvailable /proc/meminfo'
	expect '^MemAvailable: .* kB' 10
	free=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB.*/\1/p' "$com3")
	ram=$(jq -r '.ram_size' "igvm/manifests/$FLAVOUR.json")
	used=$((${ram%MiB} * 1024 - free))
	echo "VTL2 RAM in use: $used KiB of $ram, gate $memory_gate KiB" \
		>>"$case_dir/figures"
	[ $used -gt 0 ] && [ $used -le $memory_gate ] ||
		fail "VTL2 uses $used KiB, the gate is $memory_gate KiB"
}

run_cases 'reads: figures of 4 KiB reads, VTL2 memory and boot'
sed 's/^/# /' "build/log/$area/reads/figures" 2>/dev/null || true
