# SPDX-License-Identifier: MIT
#
# The guest's side of the tests of serial ports and of the console. On the
# command line:
#
#	job=both   8 KiB each way on both ports at once, read 5 s late; then a
#	           login on COM2
#	job=held   COM1 is read, from which nothing may come; then COM2 is opened
#	           late, and what came before is read
#	job=ticks  its clock, every second, until it is ended
#	job=talks  the same without a rest
set -u

tell() { echo "serial: $*"; }
fail() { tell "$*"; exit 1; }
sum() { sha256sum | cut -d ' ' -f 1; }

both() {
	# As long as it is open its settings stay.
	exec 4<>/dev/ttyS1
	stty -F /dev/ttyS0 raw -echo
	stty -F /dev/ttyS1 raw -echo
	head -c 8192 /dev/urandom >/tmp/out1
	head -c 8192 /dev/urandom >/tmp/out2
	tell "sends $(sum </tmp/out1) $(sum </tmp/out2)"
	tell "go"
	cat /tmp/out1 >/dev/ttyS0 &
	cat /tmp/out2 >/dev/ttyS1 &
	sleep 5
	head -c 8192 </dev/ttyS0 >/tmp/in1 &
	head -c 8192 </dev/ttyS1 >/tmp/in2 &
	wait
	tell ""
	tell "received $(sum </tmp/in1) $(sum </tmp/in2)"
	exec 4>&-

	echo "root:$(mkpasswd -m sha512 opensesame):0:0:root:/root:/bin/sh" \
		>/etc/passwd
	tell "getty"
	setsid getty -L -l "$(command -v login)" 115200 ttyS1 vt100
	tell "logged out"
}

held() {
	stty -F /dev/ttyS0 raw -echo
	tell "reads"
	timeout 10 head -c 1 </dev/ttyS0 >/tmp/in1
	tell "got $(wc -c </tmp/in1) bytes"
	exec 4<>/dev/ttyS1
	timeout 60 head -c 1000 <&4 >/tmp/in2
	tell "late $(sum </tmp/in2)"
}

# ticks [SECONDS]: with so much rest.
ticks() {
	while :; do
		tell "tick $(cut -d . -f 1 /proc/uptime)"
		[ -z "${1-}" ] || sleep "$1"
	done
}

case $(sed -n 's/.*\bjob=\([a-z]*\).*/\1/p' /proc/cmdline) in
both) both;;
held) held;;
ticks) ticks 1;;
talks) ticks;;
*) fail "no job";;
esac
