# SPDX-License-Identifier: MIT
# 1 GiB each way, driver and queues again and again, a link that flaps. TIMES=N
# does each so many times less often, to try the case itself.
. test/e2e/lib.sh
. test/e2e/net/start.sh
for_flavour debug

less=${TIMES:-1}

case_data() {
	local i job

	net_guest net
	server_start $((32 << 20))
	job="job=all pings=1000 flows=8 rounds=$((100 / less))"
	vmm_limit=20000 net_start \
		"$job times=$((32 / less)) downs=$((1000 / less))" --net uh:user
	for ((i = 4; i <= 32 / less; i += 4)); do
		expect "^net: transfer $i\>" 900 "$com1"
	done
	for ((i = 50; i <= 1000 / less; i += 50)); do
		expect "^net: down $i\>" 600 "$com1"
	done
	expect '^net: done' 300 "$com1"
	vmm_end 0 60
	server_stop
	says "$com1" '^guest-exit: 0'
	says "$com1" "^net: $((100 / less)) reloads"
	counted '.data_outside == 0 and .bad_access == 0 and .bad_wqes == 0 and
		.overflows == 0'
}

case_link() {
	local i

	server_start $((64 << 10))
	net_guest beats
	vmm_limit=5000 net_start "nics=1" --net uh:user --disk mem:16M,uh-nvme
	expect '^beat: eth0 1' 90 "$com1"
	for ((i = 0; i < 1000 / less; i++)); do
		control mana-event '{"event":"link-down"}'
		control mana-event '{"event":"link-up"}'
	done
	i=$(grep -ac '^beat: eth0 [0-9]' "$com1")
	expect "^beat: eth0 $((i + 3))\>" 60 "$com1"
	control quit
	vmm_reap
	server_stop
}

run_cases 'data: 1 GiB each way, 100 reloads, 1000 times down and up' \
	'link: 1000 flaps of the link'
note "$(grep -a '^net: [0-9]* reloads' "build/log/$area/data/com1")"
