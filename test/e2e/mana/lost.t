# SPDX-License-Identifier: MIT
# A vport that the device takes away, and gives back.
. test/e2e/lib.sh
. test/e2e/net/start.sh
. test/e2e/mana/trouble.sh
for_flavour debug

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

run_cases 'lost: a vport that is lost is degraded by name, and comes back'
