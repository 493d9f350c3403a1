# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
#
# The stress of vmm's interrupt handshake as a case; sourced after lib.sh.
#
# stress VPS VTL2 VTL0 SECONDS: that many interrupts to each, none lost, none
# doubled. What it counted stands in $case_dir/figures.
stress() {
	local status=0

	LAB_ATTEMPTS=1 LAB_VMM=$PWD/build/host/vmm-stress \
		$lab --timeout $(($4 * ${PACE:-1})) -- -p "$1" -n "$2" -m "$3" \
		>"$case_dir/figures" 2>"$case_dir/vmm.log" </dev/null ||
		status=$?
	case $status in
	0) return;;
	5|125) touch "$case_dir/lab-failed";;
	esac
	fail "status $status: $(tail -n 3 "$case_dir/figures" \
		"$case_dir/vmm.log" | tr '\n' ' ')"
}

# Shows the figures of the cases named.
show_figures() {
	local each

	for each; do
		sed -n "s/^stress:/# &/p" "build/log/$area/$each/figures"
	done
}
