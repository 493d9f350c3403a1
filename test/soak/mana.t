# SPDX-License-Identifier: MIT
# All faults of the MANA model, one after the other, on a NIC in use; those of
# messages while the queues are made anew, which takes messages.
. test/e2e/lib.sh
. test/e2e/net/start.sh
. test/e2e/mana/trouble.sh
for_flavour debug

case_all() {
	local fault

	# What the kernel says of a device that does not answer, and of objects
	# that it therefore can not destroy.
	allow 'mana .*timed out|WARNING: drivers/infiniband/core/|Call Trace:'
	vmm_limit=3000 trouble_start
	for fault in tx-type tx-queue tx-lost tx-twice tx-error tx-dead tx-lap \
		rx-type rx-queue rx-oversize rx-truncated rx-empty rx-lost \
		rx-hole rx-twice rx-hash rx-checksum rx-fence event-lost \
		event-queue event-overflow interrupt-lost doorbell-lost \
		rx-coalesced link-flap unknown-event; do
		trouble "$fault" 3 60
	done
	undisturbed
	# The device's messages are of all its vports: the kernel may make it
	# anew.
	for fault in hwc-error wq-refused rx-refused hwc-wrong-id hwc-short; do
		control mana-fault "$(jq -cn --arg fault "$fault" \
			'{fault: $fault, count: 1}')"
		trouble tx-dead 1 120
	done
	# What is about the function as a whole; the kernel waits up to 30 s for
	# an answer.
	control mana-fault '{"fault":"hwc-silent","count":1}'
	trouble_all tx-dead 240
	trouble_all reset 240
	trouble_all fpga-reconfig 240
	trouble_end
}

run_cases 'all: 34 faults of the MANA model, overcome one after the other'
sed 's/^/# /' "build/log/$area/all/times" 2>/dev/null || true
