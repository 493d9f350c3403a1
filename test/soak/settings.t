# SPDX-License-Identifier: MIT
# What settings say is what the guest sees; its commands are answered as the
# tools that know them expect; what lies behind holds what was written.
. test/e2e/lib.sh
. test/e2e/storage/start.sh

[ "$FLAVOUR" = debug ] ||
	note 'storage: release runs the same daemon; the area runs with debug'
for_flavour debug

stage=$PWD/build/guest/storage
mkdir -p "$stage"

# 1 MiB of noise in an ISO file system.
make_iso() {
	mkdir -p "$stage/iso"
	head -c $((1 << 20)) /dev/urandom >"$stage/iso/data"
	genisoimage -quiet -R -o "$stage/dvd.iso" "$stage/iso" ||
		fail "no ISO image"
}

# One controller with nearly all, another with what is told to it.
all_settings() {
	cat <<-EOF
	{"version":1,"machine_id":"76bba8a0-8cf2-4f0c-8a8e-766d6d000001",
	"storage":[
	{"instance":"5ba1c4f0-7d3e-4b6a-9c21-766d6d000001","sub_channels":1,
	"luns":[
	{"lun":0,"serial":"PLAIN","backend":$(nvme 0)},
	{"lun":1,"serial":"STRIPE","backend":{"stripe":{"chunk_kib":64,
		"of":[$(nvme 1),$(nvme 2)]}}},
	{"lun":2,"serial":"HOSTED",
		"backend":{"scsi":{"device":"$scsi_guid","lun":0}}},
	{"lun":3,"serial":"DVD","backend":{"iso":$(nvme 4)}}]},
	{"instance":"5ba1c4f0-7d3e-4b6a-9c21-766d6d000002",
	"queue_depth":32,"max_transfer_kib":64,"luns":[
	{"lun":63,"vendor":"Contoso","product":"Spinning Thing",
	"revision":"9.1","serial":"WHEEL","rotation":7200,
	"device_id":"01234567-89ab-cdef-0123-456789abcdef",
	"write_cache":false,"unmap":false,"backend":$(nvme 5)}]}]}
	EOF
}

# What a stripe of 64 KiB chunks over two files of equal size holds.
interleave() {
	python3 - "$@" <<-'EOF'
	import hashlib, sys
	files = [open(name, "rb") for name in sys.argv[1:]]
	whole = hashlib.sha256()
	while True:
	    for f in files:
	        chunk = f.read(65536)
	        whole.update(chunk)
	    if not chunk:
	        break
	print(whole.hexdigest())
	EOF
}

case_settings() {
	local n

	# Of the drive that was asked to show a disc that is out.
	allow 'I/O error, dev sr0'
	make_iso
	for n in plain s0 s1 hosted; do
		rm -f "$stage/$n"
		truncate -s 64M "$stage/$n"
	done
	all_settings >"$case_dir/settings"
	storage_start "settings dvd_sectors=$(($(stat -c %s \
		"$stage/dvd.iso") / 512))" 2 --settings "$case_dir/settings" \
		--disk "file:$stage/plain,uh-nvme,block=4k" \
		--disk "file:$stage/s0,uh-nvme" \
		--disk "file:$stage/s1,uh-nvme" \
		--disk "file:$stage/hosted,uh" \
		--disk "file:$stage/dvd.iso,uh-nvme,ro" \
		--disk "mem:64M,uh-nvme,block=512e"
	vmm_end 0 200
	says "$com1" '^guest-exit: 0'
	says "$com1" '^storage: identities good'
	says "$com1" '^storage: commands good'
}

# The files of the run before.
case_stripe() {
	com1=${case_dir%/stripe}/settings/com1
	says "$com1" "^storage: stripe sha256 $(interleave "$stage/s0" \
		"$stage/s1")"
	[ "$(tr -d '\0' <"$stage/s0" | head -c 1 | wc -c)" = 1 ] &&
		[ "$(tr -d '\0' <"$stage/s1" | head -c 1 | wc -c)" = 1 ] ||
		fail "a file of the stripe holds nothing but zeros"
}

case_hosted() {
	com1=${case_dir%/hosted}/settings/com1
	says "$com1" "^storage: hosted sha256 $(sha256sum <"$stage/hosted" |
		cut -c 1-64)"
	jq -e '.host.disks[3].scsi | .writes > 0 and .bytes_written >= 4194304' \
		"${case_dir%/hosted}/settings/stats" >/dev/null ||
		fail "the host's SCSI disk was not written"
}

case_dvd() {
	com1=${case_dir%/dvd}/settings/com1
	says "$com1" "^storage: dvd sha256 $(sha256sum <"$stage/iso/data" |
		cut -c 1-64)"
}

run_cases 'settings: each is seen in VTL0, and all commands are clean' \
	'stripe: two namespaces hold what the stripe was given, in turns' \
	"hosted: the host's SCSI disk holds what the guest wrote" \
	'dvd: an ISO image mounts, goes and comes'
rm -rf "$stage"
