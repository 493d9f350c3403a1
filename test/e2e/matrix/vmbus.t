# SPDX-License-Identifier: MIT
# The guest's VMBus drivers in every version, loaded again and again.
. test/e2e/lib.sh
. test/e2e/living.sh

[ "$FLAVOUR" = debug ] ||
	note "vmbus: the daemon is looked at in the debug image's shell"
for_flavour debug

mkdir -p build/guest
disk=$PWD/build/guest/matrix.img
disk_sum=

# guest_start NAME APPEND: kernel NAME in VTL0, its COM1 on a socket.
guest_start() {
	local kernel initrd=build/guest/matrix-$1.cpio

	kernel=$(test/guest/kernel "$1") || fail "no kernel $1"
	test/guest/mkguest -o "$initrd" --kernel "$1" test/guest/matrix.sh ||
		fail "no initrd for $1"
	head -c $((4 << 20)) /dev/urandom >"$disk"
	disk_sum=$(head -c $((1 << 20)) "$disk" | sha256sum | cut -c 1-64)
	com1=$case_dir/com1
	control=$PWD/$case_dir/control vsock=$PWD/$case_dir/vsock
	vmm_limit=120 vmm_start --igvm "$igvm" -m 512M -p 2 \
		--vtl0-kernel "$kernel/vmlinuz" --vtl0-initrd "$initrd" \
		--vtl0-append "console=ttyS0 quiet loglevel=4 $2" \
		--vmbus-com1-serial "listen=$(com1_socket)" \
		--disk "file:$disk,uh-nvme" --stats "$case_dir/stats" \
		--control "$control" --vtl2-vsock-path "$vsock"
	com1_join
}

guest_ends() {
	go_on
	vmm_end 0 30
	says "$com1" '^guest-exit: 0'
}

# agreed VERSION FILE: so the daemon's tree says, and holds one open channel, but
# nothing of the connections before.
agreed() {
	local number=$((${1%.*} << 16 | ${1#*.}))

	jq -es --arg number "$(printf '0x%x' $number)" '.[1].vmbus |
		.state == "connected" and .version == $number and
		.gpadls == 1 and .messages_refused == 0 and
		[.channels[].state] == ["open"]' "$2" >/dev/null ||
		fail "$1 was expected, inspect says" \
			"$(jq -cs '.[1].vmbus' "$2" | head -c 200)"
}

case_versions() {
	local version n=0

	guest_start guest "job=versions clearcpuid=arat"
	for version in 2.4 3.0 4.0 4.1 5.0 5.1 5.2 5.3; do
		waits "bound $version" 60
		stats_to "$case_dir/tree.$version"
		agreed $version "$case_dir/tree.$version"
		[ "$version" = 5.3 ] || go_on
	done
	guest_ends
	# The guest came with 5.3.
	says "$com3" 'vmbus: client connected:' 9
	for version in 2.4 3.0 4.0 4.1 5.0 5.1 5.2 5.3; do
		says "$com1" "^matrix: asked $version agreed $version sha256 $(
			)$disk_sum" 1
		says "$com3" "vmbus: client connected: version $version,"
		[ "$(dd if="$disk" bs=512 skip=$((4096 + n)) count=1 \
			2>/dev/null | tr -d '\0')" = "version $version" ] ||
			fail "version $version did not write its block"
		n=$((n + 1))
	done
}

case_next() {
	guest_start guest-next job=once
	waits bound 60
	stats_to "$case_dir/tree"
	agreed 6.0 "$case_dir/tree"
	guest_ends
	says "$com1" '^matrix: Vmbus version:6\.0'
	says "$com1" "^matrix: sha256 $disk_sum"
	says "$com3" 'vmbus: client connected: version 6\.0' 1
}

case_reload() {
	guest_start guest job=reload
	shell_open 40
	waits before 60
	snapshot before
	go_on
	waits after 90
	snapshot after
	guest_ends
	says "$com1" "^matrix: reload [0-9]* sha256 $disk_sum" 10
	says "$com3" 'storvsp: protocol' 12
	# Of memory, what is less than a page a time cannot be told from noise.
	leaks_nothing 9
}

run_cases 'versions: hv_vmbus 2.4 to 5.3 of one guest bind the disk' \
	"next: the next kernel's agrees on 6.0" \
	'reload: ten times hv_storvsc leak nothing'
rm -f "$disk"
sed 's/^/# /' "build/log/$area/reload/process" 2>/dev/null || true
