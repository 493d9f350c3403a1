# SPDX-License-Identifier: MIT
# The MANA model under the kernel's own driver, over the user-mode network to a
# server in the lab.
. test/e2e/lib.sh

[ "$FLAVOUR" = debug ] ||
	note 'mana: without an image there is no flavour; runs with debug'
for_flavour debug

guest_kernel=$(test/guest/kernel guest) || exit 1
guest_initrd=build/guest/mana.cpio
mkdir -p build/guest
test/guest/mkguest -o $guest_initrd --pkg ethtool \
	--add "$(command -v socat):/usr/bin/socat" \
	--add test/guest/net_lib.sh:/lib/net.sh test/guest/mana.sh || exit 1

# mana_ib of 6.12 registers an RNIC first, which the model has not; the next one
# gives the queues of NICs without.
verbs_kernel=$(test/guest/kernel guest-next) || exit 1
verbs_initrd=build/guest/verbs.cpio
test/guest/mkguest -o $verbs_initrd --kernel guest-next --module mana_ib \
	--module ib_uverbs --add "$PWD/build/guest/verbs:/bin/verbs" \
	test/guest/verbs.sh || exit 1

size=$((32 << 20))
server=$PWD/test/e2e/models/mana_server.py
# Not a shim: each call of one costs a shell.
python=$(python3 -c 'import sys; print(sys.executable)')

# A server where vmm runs: its 127.0.0.1 is the guest's 10.0.2.2. $port.
server_start() {
	port=$((20000 + RANDOM % 20000))
	LAB_ATTEMPTS=1 LAB_VMM=$python $lab --timeout $((200 * PACE)) -- \
		"$server" $port $size >"$case_dir/server" 2>&1 </dev/null &
	server_pid=$!
}

server_stop() { kill "$server_pid" 2>/dev/null || true; }

# counted FILTER: of the device's counters.
counted() {
	jq -e ".host.mana | $1" "$case_dir/stats" >/dev/null ||
		fail "the model counted" \
			"$(jq -c .host.mana "$case_dir/stats")"
}

case_driver() {
	server_start
	vmm_limit=180 direct_start "port=$port bytes=$size rounds=50 flows=12 pace=$PACE \
sum=$("$python" "$server" --sum $size)" --net user --stats "$case_dir/stats"
	vmm_end 0 180
	server_stop
	says "$com1" '^guest-exit: 0'
	says "$com1" '^mana: 00:15:5d:76:6d:00 mana 0x1414 0x00ba'
	says "$com1" '^mana: dhcp 10.0.2.15 router 10.0.2.2 dns 10.0.2.3'
	says "$com1" "^mana: $size bytes each way"
	says "$com1" '^mana: works after' 3
	says "$com1" '^mana: spread '
	says "$com1" '^mana: 50 rounds'
	says "$case_dir/server" '^server: take: good' 1
	# All of it is the guest's own memory, nothing was forbidden or late,
	# and nothing is left behind but what the second modprobe made.
	counted '.data_outside == 0 and .data_guest >= 2 * '$size' and
		.bad_access == 0 and .bad_wqes == 0 and .bad_messages == 0 and
		.foreign_doorbells == 0 and .overflows == 0 and
		.now_mrs == 0 and .now_pds == 0 and .now_regions == 0'
	counted '.vports[0] | .tx_errors == 0 and .rx_truncated == 0 and
		.tx_lso > 100 and ([.rx_queue[] | select(. > 0)] | length) == 2'
}

case_verbs() {
	guest_kernel=$verbs_kernel guest_initrd=$verbs_initrd
	vmm_limit=120 direct_start "pace=$PACE" --net pair --net pair \
		--stats "$case_dir/stats"
	vmm_end 0 120
	says "$com1" '^guest-exit: 0'
	says "$com1" '^ok - region: memory under an address of our choice' 1
	says "$com1" '^ok - region: [0-9]* KiB, key ' 8
	says "$com1" '^ok - isolation: 0x[0-9a-f]* is refused' 3
	says "$com1" '^ok - isolation: the queue is dead' 3
	says "$com1" '^ok - isolation: the page is as it was' 3
	says "$com1" '^ok - loopback: (one|events|in batches|without)' 4
	says "$com1" '^not ok ' 1
	says "$com1" '^not ok - loopback: queues'
	# The device's word for the three addresses, and for the 1400 frames.
	counted '.bad_access == 3 and .bad_wqes == 3 and .data_outside == 0 and
		.bad_messages == 0 and .foreign_doorbells == 0 and
		.now_mrs == 0 and .now_pds == 0 and .now_regions == 0'
	counted '.vports[1].rx_frames == 1400 and .vports[0].tx_frames >= 1400'
}

run_cases 'driver: DHCP, 32 MiB each way, queues, RSS, counters, 50 rounds' \
	'verbs: regions, isolation and raw queues from user space'
note "driver: $(jq -c '.host.mana | del(.vports)' \
	"build/log/$area/driver/stats" 2>/dev/null)"
note "verbs: $(jq -c '.host.mana | del(.vports)' \
	"build/log/$area/verbs/stats" 2>/dev/null)"
