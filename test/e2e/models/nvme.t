# SPDX-License-Identifier: MIT
# The NVMe model under the kernel's own driver, with PRPs only and with SGLs, and
# under nvme-cli.
. test/e2e/lib.sh

[ "$FLAVOUR" = debug ] ||
	note 'nvme: without an image there is no flavour; runs with debug'
for_flavour debug

guest_kernel=$(test/guest/kernel guest) || exit 1
fio_initrd=build/guest/disk_fio.cpio
cli_initrd=build/guest/nvme_cli.cpio
mkdir -p build/guest
test/guest/mkguest -o $fio_initrd --add "$(command -v fio):/usr/bin/fio" \
	test/guest/disk_fio.sh || exit 1
test/guest/mkguest -o $cli_initrd --pkg nvme-cli test/guest/nvme_cli.sh ||
	exit 1

disk=$PWD/build/guest/models.img
# What fio writes and verifies, and the disk that is read for its SHA-256.
work=$((64 << 20))
size=$((128 << 20))

# fio_run JOB OPTIONS: the guest's disk is the file's, byte by byte. Where Linux
# may, it gives a command of more than two pages SGLs, from a mean piece of
# sgl_threshold bytes on; shorter ones have PRPs in any case.
fio_run() {
	guest_initrd=$fio_initrd
	vmm_limit=100 direct_start \
		"disk=/dev/nvme0n1 job=$1 nvme.sgl_threshold=1" \
		--disk "file:$disk$2" --stats "$case_dir/stats"
	vmm_end 0 100
	says "$com1" '^guest-exit: 0'
	says "$com1" 'err= 0'
	says "$com1" "^disk sha256 $(sha256sum <"$disk" | cut -c 1-64)"
}

# counted FILTER: of the disk's counters; nothing went wrong beside.
# shellcheck disable=SC2016 # filters are jq's
counted() {
	jq -e --argjson work $work --argjson size $size ".host.disks[0].nvme |
		.errors == 0 and .bad_dma == 0 and .pieces_outside == 0 and
		.interrupts > 0 and ($1)" "$case_dir/stats" >/dev/null ||
		fail "the model counted $(counters "$case_dir/stats")"
}

case_prp() {
	rm -f "$disk"
	truncate -s $size "$disk"
	fio_run write ,sgl=off
	[ "$(tr -d '\0' <"$disk" | head -c 1 | wc -c)" = 1 ] ||
		fail "the file holds nothing but zeros"
	counted '.sgl_commands == 0 and .prp_commands >= 3000 and
		.bytes_written >= $work and .bytes_read >= $work + $size'
}

# What PRPs wrote.
case_sgl_reads() {
	fio_run again ''
	counted '.sgl_commands >= 500 and .prp_commands > 0 and
		.writes == 0 and .bytes_read >= $work + $size'
}

case_sgl() {
	rm -f "$disk"
	truncate -s $size "$disk"
	fio_run write ''
	counted '.sgl_commands >= 1000 and .prp_commands > 0 and
		.bytes_written >= $work and .bytes_read >= $work + $size'
}

case_cli() {
	local stats=$case_dir/stats name

	guest_initrd=$cli_initrd
	direct_start iomem=relaxed --disk mem:128MB --stats "$stats"
	vmm_end 0 60
	says "$com1" '^guest-exit: 0'
	# list, id-ctrl, id-ns: what the options and the model say
	says "$com1" '^/dev/nvme0n1 .* VMM00000 .* vmm NVMe model .*512 '
	says "$com1" '^sn  *: VMM00000'
	says "$com1" '^mdts  *: 7'
	says "$com1" '^nn  *: 8'
	says "$com1" '^oacs  *: 0'
	says "$com1" '^oncs  *: 0xad'
	says "$com1" '^sgls  *: 0x1'
	says "$com1" '^nsze  *: 0x40000'
	says "$com1" '^lbaf  0 : .* lbads:9 .*\(in use\)'
	says "$com1" '^\[ *0\]:0x1'
	says "$com1" '^cap  *: [0-9a-f]*ff'
	says "$com1" '^csts  *: 1'
	# logs: the last of the two counts the work between
	says "$com1" '^temperature\s*: 40.*313 Kelvin' 2
	[ "$(sed -n 's/^host_write_commands[^0-9]*\([0-9]*\).*/\1/p' \
		"$com1" | xargs)" = "0 4" ] ||
		fail "smart-log: $(grep -a ^host_write "$com1" | xargs)"
	says "$com1" '^Error Log Entries for device:nvme0 entries:1'
	says "$com1" '^frs1 : .*1'
	says "$com1" '^IOCS9 .*Dataset Management .*00000003'
	says "$com1" '^LID 0x5 .*supports 0x1'
	# features: two queue pairs for two VPs; the cache went off and on
	says "$com1" '\(Number of Queues\), Current value:0x00010001'
	says "$com1" '\(Volatile Write Cache\), Current value:0x00000001'
	says "$com1" '\(Volatile Write Cache\), Current value:00000000'
	# refusals
	for name in format sanitize fw-commit create-ns io-passthru; do
		grep -aA 1 "^nvme: refused $name " "$com1" |
			grep -q 'Invalid Command Opcode' ||
			fail "$name: not refused by its opcode"
	done
	grep -aA 1 '^nvme: refused compare' "$com1" |
		grep -q 'Compare Failure' || fail "compare: other data equal"
	jq -e '.host.disks[0].nvme | .flushes >= 1 and .compares >= 2 and
		.verifies == 1 and .write_zeroes == 1 and .discards == 1 and
		.errors >= 9 and .bad_dma == 0 and .resets == 2' "$stats" ||
		fail "the model counted $(counters "$stats")"
}

run_cases 'prp: 64 MiB of 4 and 64 KiB, depth 32, PRPs only; equal in the file' \
	'sgl_reads: read with SGLs what PRPs wrote' \
	'sgl: 64 MiB of 4 and 64 KiB, depth 32, with SGLs; equal in the file' \
	'cli: nvme-cli reads, changes and is refused; the controller lives on'
rm -f "$disk"
for name in prp sgl_reads sgl cli; do
	note "$name: $(counters "build/log/$area/$name/stats" 2>/dev/null)"
done
