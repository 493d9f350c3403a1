# SPDX-License-Identifier: MIT
#
# What the platform is to the guest: tables, clocks, memory, CPUs, interrupts.
# It says what it finds, one `name: value' a line, and the case file judges.
# `quick' on the command line: CPUs and memory only, and the disk's SHA-256 with
# `disk'. `scis=N': N of them from VP 0, nothing else.
set -u

say() { echo "platform: $*"; }
interrupts() { # NAME LINE-REGEX: the sum over the CPUs, and who it is
	awk -v name="$1" -v line="$2" '$0 ~ line {
		for (i = 2; i <= NF && $i ~ /^[0-9]+$/; i++) n += $i
		printf "platform: %s %d", name, n
		for (; i <= NF; i++) printf " %s", $i
		print "" }' /proc/interrupts
}
# What ACPI made of its interrupts: events of the global lock, and none.
acpi_events() {
	for event in ff_gbl_lock sci_not; do
		say "$1-$event $(awk '{ print $1 }' \
			/sys/firmware/acpi/interrupts/$event)"
	done
}

echo
scis=$(sed -n 's/.*\bscis=\([0-9]*\).*/\1/p' /proc/cmdline)
if [ -n "$scis" ]; then
	interrupts sci-before '^ *9:'
	taskset 1 platform_io "$scis"
	sleep 1
	interrupts sci '^ *9:'
	acpi_events sci
	exit
fi
say "cpus $(nproc)"
say "apicids $(awk -F: '/^apicid/ { printf "%s ", $2 + 0 }' /proc/cpuinfo)"
say "memory $(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo) MiB"
grep 'System RAM' /proc/iomem | sed 's/^/platform: iomem /'
# On every CPU something runs, and gets its timer's interrupts.
for cpu in /sys/devices/system/cpu/cpu[0-9]*; do
	n=${cpu##*/cpu}
	taskset $((1 << n)) sleep 0.1 && say "ran on $n"
done
if grep -qw disk /proc/cmdline; then
	wait_for /dev/sda 20 || exit 1
	say "disk $(sha256sum </dev/sda | cut -d ' ' -f 1)"
fi
! grep -qw quick /proc/cmdline || exit 0

# Memory above 4 GiB is in use, not only known.
awk '/^Node/ { zone = $4 } zone == "Normal" && /^ *(nr_free_pages|pages free)/ {
	free = $NF } zone == "Normal" && $1 == "managed" { managed = $2 }
	END { print "platform: normal zone", managed + 0, "pages,",
	      managed - free, "in use" }' /proc/zoneinfo

for table in /sys/firmware/acpi/tables/[A-Z]*; do
	[ -f "$table" ] || continue
	echo "table: ${table##*/} $(base64 "$table" | tr -d '\n')"
done

# The second UART, by interrupts: 200 bytes out, a line in.
exec 3<>/dev/ttyS1
stty -F /dev/ttyS1 115200 raw -echo
interrupts com2-before '^ *3:'
head -c 200 /dev/zero | tr '\0' z >&3
usleep 300000
interrupts com1 '^ *4:'
interrupts com2 '^ *3:'
exec 3>&-

interrupts sci-before '^ *9:'
taskset 1 platform_io && say "platform_io passed"
sleep 1
interrupts sci '^ *9:'
acpi_events sci

# NMIs: one of the guest's own, by the ICR (self, NMI, assert); one of the host.
interrupts nmi-before '^ *NMI:'
modprobe msr
printf '\000\104\004\000\000\000\000\000' |
	dd of=/dev/cpu/0/msr bs=8 seek=$((0x830 / 8)) conv=notrunc 2>/dev/null ||
	say "ICR not written"
sleep 0.2
interrupts nmi-self '^ *NMI:'
echo "platform: waiting for an NMI"
for i in $(seq 100); do
	[ "$(dmesg | grep -c 'NMI received for unknown reason')" -lt 2 ] || break
	sleep 0.1
done
interrupts nmi-host '^ *NMI:'
dmesg | grep 'NMI received' | sed 's/^/platform: dmesg /'

# The clocks. At the moment a second begins, the host compares.
modprobe rtc-cmos 2>/dev/null
rtc=/sys/class/rtc/rtc0/since_epoch
source=/sys/devices/system/clocksource/clocksource0
# next_second: right after the RTC's next second began, which is in $now. Nothing
# is forked, which may take as long as a second on a slow machine.
next_second() {
	local before

	read -r before <$rtc
	now=$before
	until [ "$now" != "$before" ]; do
		read -r now <$rtc
	done
}
next_second
say "rtc $now s"
say "clocksources $(cat $source/available_clocksource)"
echo acpi_pm >$source/current_clocksource
say "clocksource $(cat $source/current_clocksource)"
next_second
rtc0=$now
read -r time0 rest </proc/uptime
sleep 4
next_second
read -r time1 rest </proc/uptime
say "acpi_pm $((${time1%.*}${time1#*.} - ${time0%.*}${time0#*.})) cs" \
	"while rtc $((now - rtc0)) s"
