# SPDX-License-Identifier: MIT
# Six faults, a thousand stamped blocks under each: none lost, torn, misplaced or
# stale, each operation within its deadline, all alive. 24 and 5000: make soak
# T=faults.
. test/e2e/lib.sh
. test/e2e/faults/start.sh
. test/e2e/faults/rounds.sh
for_flavour debug

blocks=1000 operations=100

case_rounds() {
	all_rounds 'drop|,"opcode":1,"skip":10|0' \
		'drop-answer|,"opcode":1,"skip":10|0' \
		'fatal|,"opcode":1,"skip":30|0' \
		'all-ones|,"opcode":2,"skip":10,"delay_ms":500|0' \
		'wrong-id|,"opcode":1,"skip":20|0' \
		'internal-error|,"opcode":2,"count":3,"skip":5|0'
}

run_cases 'rounds: 6 faults, 1000 blocks under each; a lie is found'
sed 's/^/# /' "build/log/$area/rounds/figures" 2>/dev/null || true
