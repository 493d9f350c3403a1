# SPDX-License-Identifier: MIT
#
# Rounds of stamped blocks, each under one fault; sourced after start.sh.
# shellcheck shell=bash

# A command may wait for VTL2's timeout, for an abort of as much and for a reset,
# and be sent again to meet the next fault.
round_deadline=60

# round NAME MEMBERS STATUS: $blocks blocks under the fault, set for writes or
# reads that come. The model met it; the checker found nothing; each operation
# ended within its deadline, with STATUS (0, or `any' where a disk may say that
# it cannot); guest, daemon and the other controller work on.
round() {
	local name=$1 members=$2 status=$3 before after more=''
	local label=round-$rounds

	[ "$status" = 0 ] || more=-e
	before=$(model 0 faults)
	fault 0 "$name" "$members"
	guest "$label" $((round_deadline * 4)) "stamped $more -n $blocks \
-o $operations -s $RANDOM -d $((round_deadline * PACE)) \$(disk_of 0)"
	after=$(model 0 faults)
	fault 0 none
	[ "$after" -gt "$before" ] || fail "$name: no command met it"
	says_nothing_lost "$label" "$name"
	echo "$name: met $((after - before)) times; $(findings "$label")" \
		>>"$case_dir/figures"
	becomes 0 good 30
	rounds=$((rounds + 1))
	says_alive "$name" "$label"
}

# What a disk does that nobody can mend is found. Nobody trusts a checker that
# never found anything.
round_that_lies() {
	fault 0 lie ',"opcode":1,"skip":20'
	told lie "stamped -n $blocks -o 10 -d $((round_deadline * PACE)) \
\$(disk_of 0)"
	ended lie $((round_deadline * 4)) 1
	fault 0 none
	# The blocks are as the round before left them: lost, or another's.
	findings lie | grep -Eq ' (lost|corrupt) [1-9][0-9]?[,;]' ||
		fail "a write that was not done was not found: $(findings lie)"
	echo "lie: $(findings lie)" >>"$case_dir/figures"
}

# says_alive NAME LABEL: the other controller worked all the time. How long a run of
# it usually takes is the lab's business; but where a command of the first one was
# missing for seconds, the other did not wait for that as well.
says_alive() {
	local runs gap bad until usual longest

	guest "alive-$1-$rounds" 30 alive_says
	read -r runs gap bad until usual < <(tr -d '\r' <"$com1" | awk \
		'/^faults: alive runs / { said = $4 " " $6 " " $8 " " $10 " " $12 }
		END { print said }')
	echo "$1: the other controller: $runs verified runs, $bad bad," \
		"$((gap / 100)).$(printf %02d $((gap % 100))) s between two at" \
		"most, until $until, usually $((usual * 10)) ms" >>"$case_dir/figures"
	longest=$(findings "$2" | sed 's/.*longest \([0-9]*\) ms.*/\1/')
	[ "$bad" = 0 ] && [ "$runs" -gt 1 ] || fail "$1: $runs runs, $bad bad"
	[ "$longest" -lt 4000 ] ||
		[ $(((gap - usual) * 10)) -le $((longest * 3 / 4)) ] ||
		fail "$1: the other controller waited, too: $((gap * 10)) ms" \
			"instead of $((usual * 10)), with $longest ms"
}

# all_rounds ROUND...: `NAME|MEMBERS|STATUS' each.
all_rounds() {
	local each name members status

	allow "$recovery"
	allow 'Sense Key|blk_update_request|critical|I/O error, dev sd'
	faults_start --disk mem:64M,uh-nvme --disk mem:16M,uh-nvme
	echo "VTL2's kernel: $(grep -aoE 'nvme_core[^ ]*' "$com3" | sort -u |
		tr -d '\r' | xargs), so deadline_ms" \
		"$(tree '[.. | .deadline_ms? // empty] | unique')" \
		>>"$case_dir/figures"
	[ "$(tree '[.. | .deadline_ms? // empty] | unique | .[0]')" = \
		$((nvme_timeout * 1000)) ] ||
		fail "VTL2's kernel does not have timeouts of $nvme_timeout s"
	rounds=0
	guest start 20 'alive $(disk_of 1)'
	for each; do
		IFS='|' read -r name members status <<<"$each"
		round "$name" "$members" "$status"
	done
	guest stop 20 'rm /tmp/alive'
	round_that_lies
	faults_end
}
