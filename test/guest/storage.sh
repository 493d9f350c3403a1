# SPDX-License-Identifier: MIT
#
# The storage tests' work in VTL0; test/e2e/storage/ has the other half and the
# settings. `job=NAME' on the command line chooses:
#
# settings   what each setting looks like from here, every command by the tools
#            that know it, a stripe, a disk of the host, a DVD
# queues     four jobs of verified I/O on four VPs, and whose channels they took
# hot        ten rounds of disks and controllers that come and go, resize,
#            media, while a disk that stays is written and verified
set -u
. /lib/storage.sh

job=$(sed -n 's/.*\bjob=\([^ ]*\).*/\1/p' /proc/cmdline)
modprobe sg
modprobe sr_mod
modprobe isofs 2>/dev/null

# ---- settings ----

# Every page and command that a unit says it has; none may be malformed.
sane() {
	local dev=/dev/$1

	run sg_inq "$dev"
	run sg_vpd --page=sv "$dev"
	pages=$(tail -c +5 "/sys/block/$1/device/vpd_pg0" |
		hexdump -v -e '1/1 "%02x "')
	[ -n "$pages" ] || fail "$dev: no list of VPD pages"
	for page in $pages; do
		run sg_vpd "--page=0x$page" "$dev"
		! grep -qiE 'malformed|too short|truncat' /tmp/run || {
			cat /tmp/run
			fail "$dev: VPD page $page"
		}
	done
	run sg_turs "$dev"
	run sg_luns "$dev"
	run sg_modes -a "$dev"
	run sg_requests "$dev"
	run sg_opcodes "$dev"
	! grep -qi 'malformed\|exceeds' /tmp/run ||
		{ cat /tmp/run; fail "$dev: sg_opcodes"; }
}

identities() {
	plain=$(wait_disk PLAIN 20) || exit 1
	wheel=$(wait_disk WHEEL 20) || exit 1
	striped=$(wait_disk STRIPE 20) || exit 1
	hosted=$(wait_disk HOSTED 20) || exit 1
	dvd=$(wait_disk DVD 20) || exit 1
	lsblk -d -o NAME,HCTL,TYPE,VENDOR,MODEL,REV,LOG-SEC,PHY-SEC,ROTA,RO,SIZE
	queue "$plain" logical_block_size 4096
	queue "$plain" physical_block_size 4096
	queue "$plain" rotational 0
	is "$plain: ro" "$(cat "/sys/block/$plain/ro")" 0
	is vendor "$(cat "/sys/block/$plain/device/vendor" | tr -d ' ')" Msft
	is model "$(cat "/sys/block/$plain/device/model" | sed 's/ *$//')" \
		'Virtual Disk'

	queue "$wheel" logical_block_size 512
	queue "$wheel" physical_block_size 4096
	queue "$wheel" rotational 1
	queue "$wheel" max_hw_sectors_kb 64
	queue "$wheel" discard_max_bytes 0
	queue "$wheel" write_cache 'write through'
	is vendor "$(tr -d ' ' <"/sys/block/$wheel/device/vendor")" Contoso
	is model "$(sed 's/ *$//' "/sys/block/$wheel/device/model")" \
		'Spinning Thing'
	is revision "$(tr -d ' ' <"/sys/block/$wheel/device/rev")" 9.1
	is LUN "$(basename "$(readlink "/sys/block/$wheel/device")" |
		sed 's/.*://')" 63
	# Without a page sdparm asks for pages that no disk has to have.
	run sdparm --page=ca --all "/dev/$wheel"
	is WCE "$(sdparm --get=WCE "/dev/$wheel" |
		sed -n 's/^WCE *\([01]\).*/\1/p')" 0
	run sdparm --page=ca --all --long "/dev/$plain"
	run sdparm --inquiry --page=di "/dev/$plain"

	is "$hosted: ro" "$(cat "/sys/block/$hosted/ro")" 0
	queue "$hosted" logical_block_size 512
	for disk in $plain $wheel $striped $hosted $dvd; do
		sane "$disk"
	done
	tell identities good
}

commands() {
	local dev=/dev/$plain

	run sg_readcap --long "$dev"
	run sg_readcap "$dev"
	# 4 MiB of noise, of which pieces go.
	run dd if=/dev/urandom of="$dev" bs=1M count=4 oflag=direct
	run sg_verify --lba=0 --count=64 "$dev"
	run sg_sync "$dev"
	run sg_write_same --10 --lba=0 --num=16 --xferlen=4096 --in=/dev/zero \
		"$dev"
	run sg_write_same --16 --lba=16 --num=16 --xferlen=4096 \
		--in=/dev/zero "$dev"
	is 'what WRITE SAME wrote' "$(dd if="$dev" bs=4096 count=32 \
		iflag=direct 2>/dev/null | tr -d '\0' | wc -c)" 0
	run sg_unmap --lba=64 --num=64 "$dev"
	is 'what UNMAP left' "$(dd if="$dev" bs=4096 skip=64 count=64 \
		iflag=direct 2>/dev/null | tr -d '\0' | wc -c)" 0
	run /usr/bin/blkdiscard --offset 1M --length 1M "$dev"
	run /usr/bin/blkdiscard --zeroout --offset 2M --length 1M "$dev"
	is 'what blkdiscard left' "$(dd if="$dev" bs=1M skip=1 count=2 \
		iflag=direct 2>/dev/null | tr -d '\0' | wc -c)" 0
	run sg_start --stop "$dev"
	run sg_start --start "$dev"
	run sg_read "if=$dev" bs=4096 count=64 blk_sgio=1
	refused 'illegal request|invalid' sg_raw -r 64 "$dev" \
		89 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00
	refused 'illegal request|range' sg_raw -r 4096 "$dev" \
		28 00 ff ff ff f0 00 00 01 00
	reservations "$dev"
	tell commands good
}

reservations() {
	local key=0x123abc

	run sg_persist --in --report-capabilities "$1"
	run sg_persist --out --register --param-sark=$key "$1"
	run sg_persist --in --read-keys "$1"
	grep -qi 123abc /tmp/run || fail "the key is not there"
	run sg_persist --out --reserve --param-rk=$key --prout-type=5 "$1"
	run sg_persist --in --read-reservation "$1"
	grep -qi 'Write Exclusive, registrants only' /tmp/run ||
		{ cat /tmp/run; fail "not the reservation that was made"; }
	run sg_persist --in --read-full-status "$1"
	run dd if="$1" of=/dev/null bs=4096 count=1 iflag=direct
	refused conflict sg_persist --out --release --param-rk=0x99 \
		--prout-type=5 "$1"
	run sg_persist --out --release --param-rk=$key --prout-type=5 "$1"
	run sg_persist --out --clear --param-rk=$key "$1"
	run sg_persist --in --read-keys "$1"
	! grep -qi 123abc /tmp/run || fail "the key is still there"
}

data() {
	verified "$striped" 8M
	tell "stripe sha256 $(sha_of "$striped")"
	verified "$hosted" 4M
	run sg_sync "/dev/$hosted"
	tell "hosted sha256 $(sha_of "$hosted")"
	verified "$wheel" 4M
}

drive() {
	local dev=/dev/$dvd

	is "$dvd: size" "$(blockdev --getsz "$dev")" "$(sed -n \
		's/.*\bdvd_sectors=\([^ ]*\).*/\1/p' /proc/cmdline)"
	run mount -t iso9660 -o ro "$dev" /mnt
	tell "dvd sha256 $(sha256sum </mnt/data | cut -d ' ' -f 1)"
	run umount /mnt
	run /usr/bin/eject "$dev"
	refused 'medium|mount' mount -t iso9660 -o ro "$dev" /mnt
	run /usr/bin/eject -t "$dev"
	wait_for "$dev" 5
	run mount -t iso9660 -o ro "$dev" /mnt
	run umount /mnt
	refused 'read-only|protect|denied|not permitted' \
		dd if=/dev/zero of="$dev" bs=2048 count=1 conv=notrunc
}

job_settings() {
	identities
	commands
	data
	drive
}

# ---- queues ----

# The disks' channels: id, VP, interrupts so far.
channels() {
	local dir

	for dir in /sys/bus/vmbus/devices/*/channels/*; do
		[ -e "$dir/cpu" ] || continue
		grep -q 'ba6163d9' "${dir%/channels/*}/class_id" || continue
		echo "${dir##*/} $(cat "$dir/cpu") $(cat "$dir/interrupts")"
	done
}

job_queues() {
	local disk

	disk=$(wait_disk MAIN 20) || exit 1
	channels >/tmp/before
	run_fio --filename="/dev/$disk" --verify=crc32c --verify_fatal=1 \
		--do_verify=1 --verify_state_save=0 --rw=randwrite --bs=4k \
		--iodepth=16 --numjobs=4 --size=1M --offset_increment=16M \
		--cpus_allowed=0-3 --cpus_allowed_policy=split --name=queues
	channels | awk 'NR == FNR { before[$1] = $3; next }
		{ print "storage: channel", $1, "cpu", $2, "interrupts",
			$3 - before[$1] }' /tmp/before -
	tell queues done
	sleep 8
}

# ---- hot ----

commands_of() { awk '{ print $1 + $5 }' "/sys/block/$1/stat"; }

# From its first command on the disk that stays moves something all the time; a
# second in a lab that emulates all VPs with one CPU may be short for that.
undisturbed() {
	local before now start idle=0

	start=$(commands_of "$1")
	while [ "$(commands_of "$1")" = "$start" ]; do
		sleep 1
	done
	before=$(commands_of "$1")
	while sleep 3 && [ -e /tmp/watching ]; do
		now=$(commands_of "$1")
		[ "$now" != "$before" ] || {
			idle=$((idle + 1))
			tell "no I/O for 3 s at $(cut -d ' ' -f 1 /proc/uptime)"
		}
		before=$now
	done
	echo $idle >/tmp/idle
}

round() {
	local disk far

	tell "round $1 waits"
	disk=$(wait_disk "HOT$1" 30) || exit 1
	far=$(wait_disk "FAR$1" 30) || exit 1
	run dd if="/dev/$disk" of=/dev/null bs=64k count=16 iflag=direct
	run dd if=/dev/urandom of="/dev/$far" bs=64k count=16 oflag=direct
	tell "round $1 seen"
	wait_gone "HOT$1" 30
	wait_gone "FAR$1" 30
	tell "round $1 gone"
}

# Somebody has to use a disk to hear of its new size.
sees_size() {
	local i=0

	while [ $i -lt 50 ]; do
		dd if="/dev/$1" of=/dev/null bs=4096 count=1 iflag=direct \
			2>/dev/null
		[ "$(cat "/sys/block/$1/size")" != "$2" ] || return 0
		sleep 0.2
		i=$((i + 1))
	done
	fail "$1 has $(cat "/sys/block/$1/size") sectors, not $2"
}

job_hot() {
	local main

	main=$(wait_disk MAIN 20) || exit 1
	touch /tmp/watching
	undisturbed "$main" &
	fio --ioengine=libaio --direct=1 --thread --name=main --rw=randwrite \
		--filename="/dev/$main" --bs=4k --iodepth=4 --size=16M \
		--verify=crc32c --verify_fatal=1 --verify_backlog=64 \
		--verify_state_save=0 --time_based --runtime=600 \
		>/tmp/main 2>&1 &
	for n in 1 2 3 4 5 6 7 8 9 10; do
		round $n
	done
	tell resize waits
	sees_size "$main" 196608
	tell resize seen
	rm /tmp/watching
	kill -INT %2
	wait
	grep -q 'err= 0' /tmp/main || { cat /tmp/main; fail "verified I/O"; }
	is 'times without I/O on the disk that stays' "$(cat /tmp/idle)" 0
	tell hot done
	sleep 3
}

case $job in
settings|queues|hot) "job_$job";;
*) fail "job \`$job': not known";;
esac
