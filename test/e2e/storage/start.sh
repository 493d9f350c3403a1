# SPDX-License-Identifier: MIT
#
# A guest with the tools of SCSI; sourced by the case files of this area.
# shellcheck shell=bash

guest_kernel=$(test/guest/kernel guest) || exit 1
guest_initrd=build/guest/storage.cpio
mkdir -p build/guest
tools=()
for tool in fio lsblk blkdiscard blockdev eject sdparm sg_inq sg_vpd sg_turs \
	sg_luns sg_modes sg_requests sg_opcodes sg_readcap sg_verify sg_sync \
	sg_write_same sg_unmap sg_start sg_read sg_raw sg_persist; do
	path=$(command -v $tool) || {
		echo "storage: no $tool, see rootfs/packages.list" >&2
		exit 1
	}
	tools+=(--add "$path:/usr/bin/$tool")
done
test/guest/mkguest -o "$guest_initrd" "${tools[@]}" \
	--add test/guest/storage_lib.sh:/lib/storage.sh \
	test/guest/storage.sh || exit 1

# storage_start JOB VPS ARGS...: $com1 is what the guest says.
storage_start() {
	local job=$1 vps=$2

	shift 2
	# shellcheck disable=SC2034 # the cases read it
	com1=$case_dir/com1
	control=$PWD/$case_dir/control vsock=$PWD/$case_dir/vsock
	vmm_limit=240 vmm_start --igvm "$igvm" -m 1GB -p "$vps" \
		--vtl0-kernel "$guest_kernel/vmlinuz" \
		--vtl0-initrd "$guest_initrd" \
		--vtl0-append "console=ttyS0 quiet loglevel=4 job=$job" \
		--vmbus-com1-serial "file=$com1" --stats "$case_dir/stats" \
		--control "$control" --vtl2-vsock-path "$vsock" "$@"
}

# GUIDs of the devices that vmm gives to VTL2, by the number of the option.
nvme_guid() { printf '1d0f2a1e-%04x-4e56-8d65-766d6d0000%02x' $(($1 + 1)) "$1"; }
scsi_guid=2c6e83b4-1f0d-4d92-a758-766d6d000002

# nvme N [NSID]: a backend.
nvme() {
	printf '{"nvme":{"device":"%s","nsid":%u}}' "$(nvme_guid "$1")" "${2-1}"
}
