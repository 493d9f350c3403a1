# SPDX-License-Identifier: MIT
# 1 GiB each way, driver and queues again and again, a link that flaps. TIMES=N
# does each so many times less often, to try the case itself.
. test/e2e/lib.sh
. test/e2e/net/start.sh
for_flavour debug

less=${TIMES:-1}

# rounds GUEST APPEND LINE STEP LAST ARGS...: the guest does it, and says LINE
# every STEP times.
rounds() {
	local i guest=$1 append=$2 line=$3 step=$4 last=$5

	shift 5
	net_guest "$guest"
	vmm_limit=5000
	server_start $((2 << 20))
	net_start "$append" "$@"
	expect '^net: (works|[0-9]* bytes|transfer 1)' 300 "$com1"
	for ((i = step; i <= last; i += step)); do
		expect "^net: $line $i\>" 900 "$com1"
	done
	expect '^net: done' 1200 "$com1"
	vmm_end 0 60
	server_stop
	says "$com1" '^guest-exit: 0'
	counted '.data_outside == 0 and .bad_access == 0 and .bad_wqes == 0 and
		.overflows == 0'
}

case_data() {
	rounds net_matrix "job=data times=$((32 / less))" transfer 1 \
		$((32 / less)) --net uh:pair,mtu=9000 --net uh:pair,mtu=9000
}
case_reloads() {
	rounds net "job=all pings=1000 flows=8 rounds=$((100 / less))" \
		reload 10 $((100 / less)) --net uh:user
	says "$com1" "^net: $((100 / less)) reloads"
}
case_downs() {
	rounds net "job=quick downs=$((1000 / less))" down 50 \
		$((1000 / less)) --net uh:user
}

case_link() {
	local i

	net_guest beats
	vmm_limit=5000
	server_start $((64 << 10))
	net_start "nics=1" --net uh:user --disk mem:16M,uh-nvme
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

run_cases 'data: 1 GiB each way' \
	'reloads: the driver 100 times anew' \
	'downs: 1000 times down and up, each time with new queues' \
	'link: 1000 flaps of the link'
note "$(grep -a '^net: [0-9]* reloads' "build/log/$area/reloads/com1" 2>/dev/null)"
