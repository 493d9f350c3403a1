# SPDX-License-Identifier: MIT
# Under a guest that checks each block: six faults, a thousand blocks under each;
# disks that go and come back; power that fails; a LUN that is slow beside one that
# is not; and a guest that does nothing. More of each: make soak T=faults.
. test/e2e/lib.sh
. test/e2e/faults/start.sh
. test/e2e/faults/rounds.sh
. test/e2e/faults/return.sh
. test/e2e/faults/power.sh
. test/e2e/faults/fair.sh
. test/e2e/faults/idle.sh
for_flavour debug

blocks=1000 operations=100 window=6

case_rounds() {
	all_rounds 'drop|,"opcode":1,"skip":10|0' \
		'drop-answer|,"opcode":1,"skip":10|0' \
		'fatal|,"opcode":1,"skip":30|0' \
		'all-ones|,"opcode":2,"skip":10,"delay_ms":500|0' \
		'wrong-id|,"opcode":1,"skip":20|0' \
		'internal-error|,"opcode":2,"count":3,"skip":5|0'
}
case_return() { go_and_return; }
case_power() { power_cuts 2; }
case_fair() { fair 1; }
case_idle() { idle 15; }

run_cases 'rounds: 6 faults, 1000 blocks under each; a lie is found' \
	'idle: a guest that does nothing leaves the daemon asleep' \
	'return: a disk is lost and comes back by what it is called, twice' \
	'power: two cuts: what was acknowledged as durable is there' \
	'fair: 256 commands of 10 s at LUN 0 cost LUN 1 nothing'
for name in rounds return power fair idle; do
	sed "s/^/# $name: /" "build/log/$area/$name/figures" 2>/dev/null || true
done
