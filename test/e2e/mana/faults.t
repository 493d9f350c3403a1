# SPDX-License-Identifier: MIT
# Six faults of the MANA function, one after the other, and a vport that is gone
# for a while.
. test/e2e/lib.sh
. test/e2e/net/start.sh
. test/e2e/mana/trouble.sh
for_flavour debug

case_six() {
	trouble_start
	trouble tx-dead 1 30      # a send queue that the device disabled
	trouble rx-oversize 1 30  # a length that no buffer has
	trouble tx-queue 3 30     # completions of another queue
	trouble rx-lost 2 30      # frames of which nothing is told
	trouble link-flap 3 30
	undisturbed
	trouble_all reset 60      # the device goes, and comes back
	trouble_end
}

case_lost() {
	trouble_start
	control mana-fault '{"fault":"vport-lost","vport":0}'
	vports_say '.[0].degraded != "no" and .[1].degraded == "no"' 40
	note "$(vports)"
	beats_on eth1 3 20
	beats_on disk 3 20
	undisturbed
	control mana-fault '{"fault":"none"}'
	beats_on eth0 3 60
	vports_say '.[0].degraded == "no"' 10
	trouble_end
}

run_cases 'six: six faults, each overcome, the other NIC and the disk undisturbed' \
	'lost: a vport that is lost is degraded by name, and comes back'
sed 's/^/# /' "build/log/$area/six/times" 2>/dev/null || true
