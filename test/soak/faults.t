# SPDX-License-Identifier: MIT
# What the area faults does, with the counts that are asked for: 24 faults, 5000
# blocks under each; 20 cuts of power; 60 s of idleness; five rounds of a slow LUN.
. test/e2e/lib.sh
. test/e2e/faults/start.sh
. test/e2e/faults/rounds.sh
. test/e2e/faults/return.sh
. test/e2e/faults/power.sh
. test/e2e/faults/fair.sh
. test/e2e/faults/idle.sh
for_flavour debug

blocks=5000 operations=300 window=10
faults_limit=4000

# Those that lie, move half of the data, misplace it or write twice are not here:
# nobody but the end of a disk's data can mend that, and the last round has one.
w=',"opcode":1' r=',"opcode":2'

case_lost() {
	all_rounds "drop|$w,\"skip\":10,\"count\":2|0" \
		"drop|$r,\"skip\":10|0" \
		"drop-answer|$w,\"skip\":100|0" \
		"delay|$w,\"skip\":20,\"count\":5,\"delay_ms\":1500|0" \
		"delay|$w,\"skip\":20,\"delay_ms\":6000|0" \
		"late|$r,\"skip\":20,\"delay_ms\":6000|0"
}

case_wrong() {
	all_rounds "duplicate|$w,\"skip\":20|0" \
		"wrong-id|$w,\"skip\":20|0" \
		"wrong-queue|$w,\"skip\":20|0" \
		"wrong-head|$w,\"skip\":20|0" \
		"bad-phase|$w,\"skip\":20|0" \
		"no-interrupt|$r,\"skip\":20|0"
}

case_down() {
	all_rounds "wrong-vector|$r,\"skip\":20|0" \
		"fatal|$w,\"skip\":200|0" \
		"frozen|$w,\"skip\":30|0" \
		"all-ones|$r,\"skip\":10,\"delay_ms\":500|0" \
		"transfer-error|$w,\"skip\":5,\"count\":3|any" \
		"internal-error|$w,\"skip\":5,\"count\":3|0"
}

case_status() {
	all_rounds "aborted|$w,\"skip\":5,\"count\":3|any" \
		"interrupted|$w,\"skip\":5,\"count\":3|0" \
		"ns-not-ready|$w,\"skip\":5,\"count\":3|0" \
		"path-error|$r,\"skip\":5,\"count\":3|any" \
		"write-fault|$w,\"skip\":5,\"count\":2|any" \
		"read-error|$r,\"skip\":5,\"count\":2|any"
}

case_return() { go_and_return; }
case_power() { power_cuts 20; }
case_fair() { fair 5; }
case_idle() { idle 60; }

run_cases 'lost: 5000 blocks under each of 6 faults; answers that do not come' \
	'wrong: the same; answers that are wrong, or that nothing tells of' \
	'down: the same; a controller that fails, the status of some commands' \
	'status: the same; commands that fail' \
	'return: a disk is lost and comes back by what it is called, twice' \
	'power: 20 cuts: what was acknowledged as durable is there' \
	'fair: 256 commands of 10 s at LUN 0 cost LUN 1 nothing, median of 5' \
	'idle: 60 s of a guest that does nothing leave the daemon asleep'
for name in lost wrong down status return power fair idle; do
	sed "s/^/# $name: /" "build/log/$area/$name/figures" 2>/dev/null || true
done
