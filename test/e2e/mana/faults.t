# SPDX-License-Identifier: MIT
# Six faults of the MANA function, one after the other.
. test/e2e/lib.sh
. test/e2e/net/start.sh
. test/e2e/mana/trouble.sh
for_flavour debug

case_six() {
	trouble_start
	trouble tx-dead 1 60      # a send queue that the device disabled
	trouble rx-oversize 1 60  # a length that no buffer has
	trouble tx-queue 3 60     # completions of another queue
	trouble rx-lost 2 90      # frames of which nothing is told
	trouble link-flap 3 60
	undisturbed
	trouble_all reset 120     # the device goes, and comes back
	trouble_end
}

run_cases 'six: six faults, each overcome, the other NIC and the disk undisturbed'
sed 's/^/# /' "build/log/$area/six/times" 2>/dev/null || true
