# SPDX-License-Identifier: MIT
# vmm's console, while a guest runs: words in, text out.
. test/e2e/lib.sh

guest_kernel=$(test/guest/kernel guest) || exit 1
guest_initrd=build/guest/serial.cpio
mkdir -p build/guest
test/guest/mkguest -o "$guest_initrd" test/guest/serial.sh || exit 1

# says_next WORDS REGEX: the answer has such a line.
says_next() {
	local i from=$(($(wc -l <"$said") + 1))

	send "$1"
	for ((i = 0; i < 100 * PACE; i++)); do
		! tail -n "+$from" "$said" | grep -aEq "$2" || return 0
		sleep 0.1
	done
	fail "$1: no \`$2' in: $(tail -n "+$from" "$said")"
}

# A pause may come in the middle of a line.
all_ticks() { sed -nE 's/^serial: tick ([0-9]+)\r$/\1/p' "$com1"; }
ticks() { all_ticks | wc -l; }
last_tick() { all_ticks | tail -n 1; }

case_console() {
	local count before after i

	com1=$case_dir/com1 com3=$case_dir/com3 said=$case_dir/said
	vmm_limit=180 console_start "$said" --igvm "$igvm" -m 512MB -p 2 \
		-c loglevel=7 --vtl0-kernel "$guest_kernel/vmlinuz" \
		--vtl0-initrd "$guest_initrd" \
		--vtl0-append "console=ttyS0 quiet loglevel=4 job=ticks" \
		--vmbus-com1-serial "file=$com1" --com3 "file=$com3" \
		--disk mem:64M,uh-nvme --console
	expect '^serial: tick' 90 "$com1"
	says_next help '^  kvp-get KEY \[POOL\] '
	says_next info '^state: running'
	says_next disks '^    device: nvme'
	says_next 'nvme-attach 0 7 mem:1M' '^ok'
	says_next disks '^      - 7'
	says_next 'nvme-detach 0 7' '^ok'
	says_next 'read-memory 0x1000000 16' '^hex: [0-9a-f]{32}$'
	says_next 'inspect nowhere' '^inspect: path: there is no such object'
	says_next 'fly' '^fly: unknown command'
	# Longer than a kernel waits for its CPUs before it complains.
	says_next pause '^ok'
	sleep 1
	before=$(last_tick) count=$(ticks)
	says_next info '^state: paused'
	sleep 25
	[ "$(ticks)" = "$count" ] || fail "a paused guest runs"
	says_next resume '^ok'
	for ((i = 0; i < 200 * PACE && $(ticks) <= count; i++)); do
		sleep 0.1
	done
	after=$(all_ticks | sed -n "$((count + 1))p")
	note "before the pause $before, then ${after:-nothing}"
	# A slow guest is not there every second, but it paused for longer.
	[ -n "$after" ] && [ "$after" -le $((before + 3 * PACE)) ] ||
		fail "the guest's time went on, or it did not"
	says_next quit '^ok'
	vmm_end 0 20
}

run_cases 'console: seeing, media, pause and resume by words'
