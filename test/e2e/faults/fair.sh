# SPDX-License-Identifier: MIT
#
# A LUN that is slow beside one that is not; sourced after start.sh.
# shellcheck shell=bash

# reads_of_1 LABEL: reads of LUN 1 in $window seconds, and the longest in
# milliseconds.
reads_of_1() {
	guest "$1" $((window * 4 + 60)) "reads \$(disk_of 1) 8 $window"
	tr -d '\r' <"$com1" | sed -n "/^faults: $1 ended/q
		s/^reads \([0-9]* [0-9]*\)\$/\1/p" | tail -n 1
}

# A nested lab's time depends on what else its machine does: between two equal
# runs there may be a factor of four.
is_nested() {
	! build/host/kvm-probe >/dev/null 2>&1 || [ "${LAB:-auto}" = nested ]
}

# fair ROUNDS: with and without 256 commands at LUN 0 that take 10 s each, by
# turns. No read of LUN 1 may take as long as half of that, and it may not have
# less than its floor; where time is a figure, the median of the ratios counts.
fair() {
	local n alone beside broken before longest=0 last stuck

	vtl2_append='' faults_start --disk mem:32M,uh-nvme --disk mem:32M,uh-nvme
	for n in $(seq "$1"); do
		read -r alone last < <(reads_of_1 "alone-$n")
		before=$(model 0 faults)
		fault 0 delay ',"opcode":2,"count":0,"delay_ms":10000'
		guest "slow-$n" 10 \
			"reads \$(disk_of 0) 256 8 >/tmp/slow 2>&1 &"
		until_stuck "$before"
		read -r beside last < <(reads_of_1 "beside-$n")
		fault 0 none
		guest "quiet-$n" 60 wait
		[ -n "$alone" ] && [ -n "$last" ] || fail "round $n: no reads"
		[ "$last" -le $longest ] || longest=$last
		echo "$alone $beside" >>"$case_dir/counts"
		echo "round $n: $stuck reads wait at LUN 0; LUN 1 alone" \
			"$alone, beside $beside reads in $window s, $last ms at most" >>"$case_dir/figures"
	done
	broken=$(tree '[.. | .floor_broken? // empty] | add')
	awk '{ print $2 / $1 }' "$case_dir/counts" | sort -n | awk -v b="$broken" '
		{ r[NR] = $1 } END { m = r[int((NR + 1) / 2)]
		printf "median ratio %.3f, floor broken %d times\n", m, b }' \
		>>"$case_dir/figures"
	faults_end
	[ "$broken" = 0 ] || fail "the floor of a LUN was broken: $broken"
	[ "$(wc -l <"$case_dir/counts")" = "$1" ] && [ "$longest" -gt 0 ] &&
		[ "$longest" -le 5000 ] || fail "a read of LUN 1 took $longest ms"
	if is_nested; then
		echo "in a nested lab the ratio is no gate: relay_storvsp_fair_test" \
			"has it" >>"$case_dir/figures"
	else
		sed -n 's/^median ratio \([0-9.]*\),.*/\1/p' "$case_dir/figures" |
			awk '{ exit !($1 >= 0.9) }' ||
			fail "LUN 1 suffers: $(grep median "$case_dir/figures")"
	fi
}

# until_stuck BEFORE: LUN 0 has what Linux gives it: 256, or about half of the host's
# 279 when another LUN was at work lately.
until_stuck() {
	local i

	for ((i = 0; i < 30 * PACE; i++)); do
		stuck=$(($(model 0 faults) - $1))
		[ $stuck -lt 110 ] || return 0
		sleep 1
	done
	fail "LUN 0 has $stuck commands, not 110"
}
