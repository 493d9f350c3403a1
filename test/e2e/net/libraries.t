# SPDX-License-Identifier: MIT
# The daemon's MANA is libibverbs' and libmana's, not our own copy of them.
. test/e2e/lib.sh

map=build/$FLAVOUR/paravisor.debug.map
program=build/$FLAVOUR/paravisor.debug

# placed OBJECT: its code is in the program. An object that --gc-sections
# dropped has address or size 0.
placed() {
	awk -v object="librdma.a($1" '
		/^ \.text/ && NF == 1 { getline; $0 = ".text " $0 }
		$1 ~ /^\.text/ && index($0, object) &&
			$2 !~ /^0x0+$/ && $3 != "0x0" { found = 1 }
		END { exit !found }' "$map" ||
		fail "no code of $1 is in the program"
}

case_linked() {
	local symbol

	placed libibverbs_verbs
	placed libibverbs_cmd_cq
	placed providers_mana_qp
	placed providers_mana_manadv
	for symbol in ibv_create_rwq_ind_table ibv_reg_mr_iova manadv_init_obj
	do
		grep -rq "\<$symbol(" mana/*.c || fail "mana/ does not call $symbol"
	done
	for symbol in ibv_cmd_create_cq mana_create_qp nl_recvmsgs_default
	do
		nm "$program" | grep -q " T $symbol\$" ||
			fail "$symbol is not in the program"
	done
}

case_no_copy() {
	# Commands of the kernel's by their numbers or structures.
	! grep -nE 'ib_user|IB_USER_VERBS|uverbs_ioctl' mana/* ||
		fail "mana/ speaks to the kernel itself"
}

run_cases "linked: libibverbs and libmana are linked in" \
	'no_copy: the daemon has no verbs of its own'
