# SPDX-License-Identifier: MIT
# vmm without an image: the guest's kernel in VTL0, on the host's own devices.
. test/e2e/lib.sh

[ "$FLAVOUR" = debug ] ||
	note 'direct: without an image there is no flavour; runs with debug'
for_flavour debug

guest_kernel=$(test/guest/kernel guest) || exit 1
checks=build/guest/direct.cpio
endings=build/guest/ending.cpio
mkdir -p build/guest
test/guest/mkguest -o "$checks" test/guest/direct.sh || exit 1
test/guest/mkguest -o "$endings" test/guest/ending.sh || exit 1

# ends NAME APPEND: a guest that ends in the way of this name.
ends() {
	guest_initrd=$endings
	direct_start "disk=/dev/nvme0n1 ending=$1 $2" --disk mem:64MB
}

case_direct() {
	local disk=$PWD/$case_dir/disk now word=word_$RANDOM stats=$case_dir/stats

	truncate -s 128M "$disk"
	guest_initrd=$checks
	direct_start "first.$word" --disk "file:$disk" \
		--vtl0-append "second.$word" --stats "$stats"
	expect '^direct: a word, please' 40 "$com1"
	send "$word"
	vmm_end 0 40
	now=$(date +%s)
	says "$com1" '^guest-exit: 0'
	says "$com1" "^command line: .* first\.$word second\.$word"
	says "$com1" '^Hyper-V: privilege flags'
	says "$com1" '^hv_vmbus: Vmbus version:5\.'
	says "$com1" '^direct: 2 VPs online'
	says "$com1" "^direct: heard $word"
	says "$com1" '^direct: interrupts of NVMe [1-9][0-9]* [0-9]* [0-9]*'
	says "$com1" "^direct: disk sha256 $(head -c $((8 << 20)) "$disk" |
		sha256sum | cut -c 1-64)"
	# What it did since then takes a slow lab longer.
	awk -v now="$now" -v most=$((60 * PACE)) '
		/^direct: time/ { age = now - $3; ok = 1 }
		END { exit !(ok && age >= 0 && age < most) }' "$com1" ||
		fail "the guest's clock is wrong"
	jq -e '.host | .disks[0].nvme.bytes_written >= 8388608 and
		.disks[0].nvme.interrupts > 0 and
		.disks[0].nvme.pieces_outside == 0 and
		.disks[0].nvme.bad_dma == 0 and .chipset.ioapic_asserts > 0 and
		.com3 == null' "$stats" || fail "the host counted $(<"$stats")"
	rm -f "$disk"
}

case_direct_reboot() {
	ends reboot ''
	vmm_end 0 50
	says "$com1" '^first start, 2 VPs' 1
	says "$com1" '^second start, 2 VPs' 1
	says "$com1" '^guest-exit: 0' 1
	[ "$(grep -a '^start ' "$com1" | sort -u | wc -l)" = 2 ] ||
		fail "the guest's kernel did not start twice"
	says "$vmm_log" 'the guest restarts' 1
}

case_direct_crash() {
	allow 'Call Trace:'
	ends crash panic=-1
	vmm_end 3 40
	says "$com1" 'sysrq triggered crash'
	# Linux leaves the address and the size of its last words in P3, P4.
	says "$vmm_log" \
		'VTL0 reports a crash: .*P3 0x[1-9a-f].* P4 0x[1-9a-f]' 1
}

case_direct_triple() {
	ends triple reboot=t
	vmm_end 3 40
	says "$vmm_log" 'guest had a triple fault on VP [01]' 1
}

case_direct_refused() {
	local kernel=$guest_kernel/vmlinuz long

	long=$(printf '%2000s' '' | tr ' ' x)
	refused '^vmm: --igvm: missing' -m 512M
	refused '^vmm: --vtl0-kernel .*/none: ' --vtl0-kernel "$case_dir/none"
	refused "--vtl0-kernel $checks: .*no bzImage" --vtl0-kernel "$checks"
	head -c 100000 "$kernel" >"$case_dir/short"
	refused '--vtl0-kernel .*/short: .*cut short' \
		--vtl0-kernel "$case_dir/short"
	rm -f "$case_dir/short"
	refused '^vmm: -c and --vtl0-append: .*at most 2047' \
		--vtl0-kernel "$kernel" -c "$long" --vtl0-append "$long"
	refused '^vmm: --com3 none: needs --igvm' --vtl0-kernel "$kernel" \
		--com3 none
	refused '^vmm: --disk mem:1M,uh-nvme: .*need --igvm' \
		--vtl0-kernel "$kernel" --disk mem:1M,uh-nvme
}

run_cases 'direct: a guest without VTL2 has its NVMe, COM1, clocks and 2 VPs' \
	'direct_reboot: it starts again, its disk is still there' \
	'direct_crash: its crash ends vmm with 3' \
	'direct_triple: its triple fault ends vmm with 3' \
	'direct_refused: what it cannot have is refused by one line'
