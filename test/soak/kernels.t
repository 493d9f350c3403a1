# SPDX-License-Identifier: MIT
# The configuration fits another version of the kernel as it is: in a copy of
# the tree the image is built from that source, and runs a guest with a disk.
. test/e2e/lib.sh

guest_kernel=$(test/guest/kernel guest) || exit 1
guest_initrd=build/guest/ending.cpio
mkdir -p build/guest
test/guest/mkguest -o "$guest_initrd" test/guest/ending.sh || exit 1

case_newer() {
	local tree source version com1=$case_dir/com1
	local image=build/$FLAVOUR/newer.igvm

	source=$(rootfs/sources/fetch linux-newer) || fail "no source"
	version=$(awk '$1 == "linux-newer" { sub(/-.*/, "", $2); print $2 }' \
		rootfs/sources/table)
	tree=$(mktemp -d)
	git ls-files -z | xargs -0 cp --parents -t "$tree"
	make -C "$tree" KERNEL_SRC="$source" NO_APT=1 \
		"build/$FLAVOUR/paravisor-$FLAVOUR.igvm" \
		>"$case_dir/build.log" 2>&1 ||
		fail "it does not build: $(tail -n 1 "$case_dir/build.log")"
	cp "$tree/build/$FLAVOUR/paravisor-$FLAVOUR.igvm" "$image"
	rm -rf "$tree"
	vmm_start --igvm "$image" -m 1GB -p 2 -c loglevel=7 \
		--vtl0-kernel "$guest_kernel/vmlinuz" \
		--vtl0-initrd "$guest_initrd" --disk mem:64MB,uh-nvme \
		--vtl0-append 'console=ttyS0 quiet loglevel=4 ending=reboot' \
		--vmbus-com1-serial "file=$com1"
	vmm_end 0 120
	says "$com3" "Linux version $version"
	says "$com1" '^second start, 2 VPs'
	says "$com1" '^guest-exit: 0'
	echo "VTL2 runs Linux $version" >"$case_dir/figures"
}

run_cases 'newer: the image builds from a newer kernel and runs a guest'
sed 's/^/# /' "build/log/$area/newer/figures" 2>/dev/null || true
