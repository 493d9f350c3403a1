# SPDX-License-Identifier: MIT
# Interrupts to VTL2 and VTL0 while VPs run, halt and switch; no image.
. test/e2e/lib.sh
. test/stress/case.sh
for_flavour debug

case_stress_two_vps() { stress 2 100000 10000 180; }
case_stress_four_vps() { stress 4 100000 10000 180; }

run_cases 'stress_two_vps: 110000 interrupts on 2 VPs, none lost or doubled' \
	'stress_four_vps: 110000 interrupts on 4 VPs, none lost or doubled'
show_figures stress_two_vps stress_four_vps
