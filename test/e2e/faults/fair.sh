# SPDX-License-Identifier: MIT
#
# A LUN that is slow beside one that is not; sourced after start.sh.
# shellcheck shell=bash

# reads_of_1 LABEL: reads of LUN 1 in $window seconds.
reads_of_1() {
	guest "$1" $((window * 4 + 60)) "reads \$(disk_of 1) 8 $window"
	tr -d '\r' <"$com1" | sed -n "/^faults: $1 ended/q; /^[0-9][0-9]*\$/p" |
		tail -n 1
}

# fair ROUNDS: with and without 256 commands at LUN 0 that take 10 s each, by
# turns; the median of the ratios.
fair() {
	local n alone beside broken before

	vtl2_append='' faults_start --disk mem:32M,uh-nvme --disk mem:32M,uh-nvme
	for n in $(seq "$1"); do
		stats_to "$case_dir/at-begin.$n"
		alone=$(reads_of_1 "alone-$n")
		stats_to "$case_dir/at-alone.$n"
		before=$(model 0 faults)
		fault 0 delay ',"opcode":2,"count":0,"delay_ms":10000'
		guest "slow-$n" 10 \
			"reads \$(disk_of 0) 256 2 >/tmp/slow 2>&1 &"
		until_stuck "$before"
		stats_to "$case_dir/at-stuck.$n"
		beside=$(reads_of_1 "beside-$n")
		stats_to "$case_dir/at-beside.$n"
		fault 0 none
		guest "quiet-$n" 60 wait
		echo "$alone $beside" >>"$case_dir/counts"
		echo "round $n: LUN 1 alone $alone, beside $beside reads in" \
			"$window s" >>"$case_dir/figures"
	done
	broken=$(tree '[.. | .floor_broken? // empty] | add')
	echo "floor broken $broken times" >>"$case_dir/figures"
	faults_end
	[ "$broken" = 0 ] || fail "the floor of a LUN was broken: $broken"
	awk '{ print $2 / $1 }' "$case_dir/counts" | sort -n | awk '
		{ r[NR] = $1 } END { m = r[int((NR + 1) / 2)]
			printf "median ratio %.3f, gate 0.9\n", m
			exit !(NR && m >= 0.9) }' >>"$case_dir/figures" ||
		fail "LUN 1 suffers: $(tail -n 1 "$case_dir/figures")"
}

# until_stuck BEFORE: LUN 0 has all that it takes.
until_stuck() {
	local i

	for ((i = 0; i < 30 * PACE; i++)); do
		[ $(($(model 0 faults) - $1)) -lt 256 ] || return 0
		sleep 1
	done
	fail "LUN 0 has $(($(model 0 faults) - $1)) commands, not 256"
}
