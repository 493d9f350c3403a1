# SPDX-License-Identifier: MIT
# Figures, printed: what a frame costs in doorbells, signals, switches and system
# calls, from a NIC of the guest to another one. In a transfer by TCP 0.11, 0.12,
# 0.31 and 0.30 are measured. Where each frame is looked at when it comes it is
# 0.64, 0.19, 1.15 and 1.66. The gate is for the doorbells: the others have the
# ticks of VTL2's kernel in them, more where all takes longer.
. test/e2e/lib.sh
. test/e2e/net/start.sh
for_flavour debug

# per_frame BEFORE AFTER: the differences for each frame that was sent or
# received, of both NICs.
per_frame() {
	jq -rs 'def nics: [.vmbus.channels[] | .mana? // empty];
		def frames: [nics[] | .tx_frames + .rx_frames] | add;
		def calls: [.[] | .syscalls? // 0] | add;
		def timers: [.[] | .reactor?.timers? // 0] | add;
		def vps(f): [.ok.machine.vps[] | f] | add;
		((.[3] | frames) - (.[1] | frames)) as $n |
		def mine(f): ((.[3] | f) - (.[1] | f)) / $n * 100 | round / 100;
		def host(f): ((.[2] | f) - (.[0] | f)) / $n * 100 | round / 100;
		{frames: $n,
		 doorbells: mine([nics[].doorbells] | add),
		 signals: mine([.vmbus.channels[] | .signals_out? // 0] | add),
		 entries: host(vps(.entries_intercept + .entries_interrupt)),
		 for_a_timer: host(vps(.entries_timer)),
		 timers_of_ours: mine(timers),
		 syscalls: mine(calls),
		 bounced: mine([nics[].bounced_bytes] | add)}' "$1" "$2"
}

# measure JOB: what job=JOB costs is in figures.
measure() {
	net_guest net_matrix --add build/guest/bursts:/bin/bursts
	server_start $((64 << 10))
	net_start "job=$1" --net uh:pair --net uh:pair
	expect "^net: $1 waits" 90 "$com1"
	stats_to "$case_dir/before"
	expect "^net: $1 done" 120 "$com1"
	stats_to "$case_dir/after"
	vmm_end 0 60
	server_stop
	says "$com1" '^guest-exit: 0'
	per_frame "$case_dir/before" "$case_dir/after" >"$case_dir/figures"
	counted '.data_outside == 0 and .bad_access == 0 and .bad_wqes == 0'
}

# gates FILTER: of the figures.
gates() {
	jq -e "$1" "$case_dir/figures" >/dev/null ||
		fail "$(jq -c . "$case_dir/figures")"
}

# 4 MiB in frames of 1448 bytes, sent once and received once.
case_counts() {
	measure counts
	gates '.frames >= 2 * 2896 and .bounced < 70 and .doorbells < 0.45'
}

# A hundred of them, with a rest after each.
case_bursts() {
	measure bursts
	gates '.frames >= 2 * 100 * 32 and .doorbells < 0.2 and .signals < 0.2'
}

run_cases 'counts: what a frame of a transfer costs' \
	'bursts: what a frame of 32 costs'
for job in counts bursts; do
	note "$job, for a frame: $(jq -c . "build/log/$area/$job/figures" \
		2>/dev/null)"
done
