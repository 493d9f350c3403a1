# SPDX-License-Identifier: MIT
#
# The guest of the sockets' tests: unmodified hv_sock, and socat on
#	9980  gives back what it gets
#	9982  the SHA-256 of all it got, once the other side has no more
#	9983  ends the guest
# and connections of its own to the host: 9981 answers as 9982 does, on 9999
# nobody listens. `pace=N' on the command line multiplies deadlines.
set -u

tell() { echo "vsock: $*"; }
fail() { tell "$*"; exit 1; }

pace=$(sed -n 's/.*\bpace=\([^ ]*\).*/\1/p' /proc/cmdline)
pace=${pace:-1}
modprobe hv_sock || fail "no hv_sock"
listen() { # PORT ADDRESS
	socat -d -d -lf "/tmp/log$1" \
		"VSOCK-LISTEN:$1,fork,backlog=32" "$2" &
	for _ in $(seq $((100 * pace))); do
		! grep -q 'listening on' "/tmp/log$1" 2>/dev/null || return 0
		usleep 100000
	done
	fail "nobody listens on $1: $(cat "/tmp/log$1")"
}
listen 9980 EXEC:/bin/cat
listen 9982 EXEC:/bin/sha256sum
listen 9983 EXEC:'/bin/touch /tmp/end'
tell "listens"

head -c 1048576 /dev/urandom >/tmp/bytes
tell "sent $(sha256sum </tmp/bytes | cut -d ' ' -f 1)"
tell "answer $(socat -t $((30 * pace)) - VSOCK-CONNECT:2:9981 </tmp/bytes)"
read -r from rest </proc/uptime
socat -u VSOCK-CONNECT:2:9999 - 2>/dev/null && fail "9999 is connected"
read -r to rest </proc/uptime
tell "refused from $from to $to"
wait_for /tmp/end $((60 * pace)) || exit 1
tell "done"
