# SPDX-License-Identifier: MIT
# Ten times what e2e does.
. test/e2e/lib.sh
. test/stress/case.sh

case_two_vps() { stress 2 1000000 100000 2400; }
case_four_vps() { stress 4 1000000 100000 2400; }

run_cases 'two_vps: 1100000 interrupts on 2 VPs, none lost or doubled' \
	'four_vps: 1100000 interrupts on 4 VPs, none lost or doubled'
show_figures two_vps four_vps
