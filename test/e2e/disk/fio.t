# SPDX-License-Identifier: MIT
# What VTL0 writes is what it reads, what the file behind it holds, and what
# the controller's model moved to and from VTL0's own memory.
. test/e2e/lib.sh
. test/e2e/disk/start.sh

disk=build/guest/disk-$FLAVOUR.img
read_only=build/guest/read-only-$FLAVOUR.img
# What fio writes and verifies, and the disk that is read for its SHA-256.
work=$((64 << 20))
size=$((128 << 20))

case_write() {
	rm -f "$disk"
	truncate -s $size "$disk"
	disk_start write "$case_dir/stats" --disk "file:$PWD/$disk,uh-nvme"
	vmm_end 0 150
	says "$com1" '^guest-exit: 0'
	says "$com1" 'err= 0'
	says "$com1" "^disk sha256 $(sha256sum <"$disk" | cut -c 1-64)"
	[ "$(tr -d '\0' <"$disk" | head -c 1 | wc -c)" = 1 ] ||
		fail "the file holds nothing but zeros"
}

# The model's own counters of the run before.
case_model() {
	local stats=${case_dir%/model}/write/stats

	jq -e --argjson work $work --argjson size $size '.host.disks[0].nvme |
		.bytes_written >= $work and
		.bytes_read >= $work + $size and
		.pieces >= 3000 and .errors == 0 and .bad_dma == 0' "$stats" ||
		fail "the model did not see the work: $(counters "$stats")"
	# The daemon's self-test reads one block into its own memory.
	jq -e '.host.disks[0].nvme |
		.pieces_outside <= 1 and .bytes_outside <= 4096' "$stats" ||
		fail "data outside of VTL0's RAM: $(counters "$stats")"
}

# Two controllers that VTL2 finds at the same time: the data of before on one,
# the other read-only.
case_both() {
	local before sum

	before=$(sha256sum <"$disk" | cut -c 1-64)
	rm -f "$read_only"
	head -c $((8 << 20)) /dev/urandom >"$read_only"
	sum=$(sha256sum <"$read_only" | cut -c 1-64)
	disk_start both "$case_dir/stats" --disk "file:$PWD/$disk,uh-nvme" \
		--disk "file:$PWD/$read_only,uh-nvme,ro"
	vmm_end 0 150
	says "$com1" '^guest-exit: 0'
	says "$com1" "^disk sha256 $before"
	says "$com1" "^locked disk sha256 $sum"
	[ "$(sha256sum <"$disk" | cut -c 1-64)" = "$before" ] ||
		fail "the file changed while it was only read"
	[ "$(sha256sum <"$read_only" | cut -c 1-64)" = "$sum" ] ||
		fail "the read-only disk's file changed"
	jq -e '[.host.disks[].nvme.writes] == [0, 0]' "$case_dir/stats" ||
		fail "a write reached a controller"
}

run_cases 'write: 64 MiB of 4 and 64 KiB, depth 32; equal in the file' \
	"model: it moved the bytes, to and from VTL0's RAM" \
	'both: there after a second start; a second disk, read-only, refuses'
rm -f "$disk" "$read_only"
