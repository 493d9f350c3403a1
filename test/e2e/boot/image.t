# SPDX-License-Identifier: MIT
# The image, without running it: what is in it, and what is refused.
. test/e2e/lib.sh

case_reader() {
	build/host/igvm-dump --json "$igvm" >"$case_dir/dump.json" ||
		fail "igvm-dump ended with status $?"
	python3 -B test/e2e/boot/igvm_reader.py --compare "$igvm" \
		"$igvm.map" "$case_dir/dump.json" || fail "readers disagree"
}

case_host_tree() {
	build/host/vmm --igvm "$igvm" --host-tree "$case_dir/tree.dtb" ||
		fail "vmm --host-tree ended with status $?"
	python3 -B test/e2e/boot/host_tree_check.py "$case_dir/tree.dtb" ||
		fail "the tree is not what a public host gives"
}

case_bad_images() {
	python3 -B test/e2e/boot/bad_images.py "$igvm" build/host/vmm ||
		fail "a damaged image was not refused as it should"
	[ "$(grep -c '^ok' "$case_dir/output")" -ge 32 ] ||
		fail "fewer than 30 damaged images were tried"
}

# Modes and names of the files in the initramfs, in order.
case_file_list() {
	local archive=build/$FLAVOUR/initramfs.cpio

	cpio -tv --quiet <"$archive" | sed 's/ -> .*//' |
		awk '{ print $1, $NF }' >"$case_dir/files"
	if [ "$FLAVOUR" = release ]; then
		diff rootfs/release.golden "$case_dir/files" ||
			fail "the release image holds other files than listed"
		! grep -aq BusyBox "$archive" ||
			fail "BusyBox is in the release image"
	else
		grep -q ' bin/sh$' "$case_dir/files" ||
			fail "the debug image has no shell"
	fi
}

run_cases 'reader: a second reader agrees with igvm-dump and the map' \
	'host_tree: the host tree has what public hosts give and no more' \
	'bad_images: damaged images are refused by one line and status 2' \
	"file_list: the files in the $FLAVOUR image"
