# SPDX-License-Identifier: MIT
#
# A guest with a synthetic NIC, and a server in the lab; sourced by the case
# files of this area.
# shellcheck shell=bash

guest_kernel=$(test/guest/kernel guest) || exit 1
vps=2
mkdir -p build/guest

# net_guest NAME [ARGS of mkguest...]: the guest that runs test/guest/NAME.sh, in
# $guest_initrd.
net_guest() {
	local name=$1

	shift
	guest_initrd=build/guest/$name.cpio
	test/guest/mkguest -o "$guest_initrd" --pkg ethtool \
		--add "$(command -v socat):/usr/bin/socat" \
		--add test/guest/net_lib.sh:/lib/net.sh "$@" \
		"test/guest/$name.sh" || fail "no guest $name"
}

server=$PWD/test/e2e/models/mana_server.py
# Not a shim: each call of one costs a shell.
python=$(python3 -c 'import sys; print(sys.executable)')

# server_start SIZE: where vmm runs, and as long as that may; its 127.0.0.1 is the
# guest's 10.0.2.2. Sets $port and $sum.
server_start() {
	size=$1
	port=$((20000 + RANDOM % 20000))
	sum=$("$python" "$server" --sum "$size")
	LAB_ATTEMPTS=1 LAB_VMM=$python $lab --timeout $((${vmm_limit:-300} * PACE)) -- \
		"$server" $port "$size" >"$case_dir/server" 2>&1 </dev/null &
	server_pid=$!
}

server_stop() { kill "$server_pid" 2>/dev/null || true; }

# net_start APPEND ARGS...: $com1 is what the guest says; $com1_serial is where
# it says it, if that is no file.
net_start() {
	local append="console=ttyS0 quiet loglevel=4 port=$port bytes=$size"

	append="$append sum=$sum pace=$PACE $1"
	shift
	# shellcheck disable=SC2034 # the cases read them
	com1=$case_dir/com1 stats=$case_dir/stats
	control=$PWD/$case_dir/control vsock=$PWD/$case_dir/vsock
	vmm_limit=${vmm_limit:-300} vmm_start --igvm "$igvm" -m 1GB -p "$vps" \
		--vtl0-kernel "$guest_kernel/vmlinuz" \
		--vtl0-initrd "$guest_initrd" --vtl0-append "$append" \
		--vmbus-com1-serial "${com1_serial-file=$com1}" --stats "$stats" \
		--control "$control" --vtl2-vsock-path "$vsock" "$@"
}

# counted FILTER: of the device model's counters.
counted() {
	jq -e ".host.mana | $1" "$stats" >/dev/null ||
		fail "the model counted $(jq -c .host.mana "$stats")"
}

# all_done ROUNDS: what job=all of net.sh does, with its rounds, was done.
all_done() {
	says "$com1" "^net: $size bytes each way"
	says "$com1" '^net: works after MTU' 2
	says "$com1" '^net: spread '
	says "$com1" '^net: mtu (1400|1500)' 2
	says "$com1" "^net: $1 reloads"
}
