# SPDX-License-Identifier: MIT
#
# The guest of the integration services' tests: unmodified hv_utils and the
# daemon of hyperv-daemons. Its clock is told every other second, until the
# host asks for a shutdown, or, with `halt' on the command line, it stops for
# good when it has been told to: then nothing in it runs any more.
set -u

tell() { echo "services: $*"; }
fail() { tell "$*"; exit 1; }

mkdir -p /var/lib/hyperv
echo /bin/touch /tmp/shutdown >/proc/sys/kernel/poweroff_cmd ||
	fail "no poweroff_cmd"
modprobe hv_utils || fail "no hv_utils"
tell "drivers are there"
if grep -qw halt /proc/cmdline; then
	read -r line
	tell "halting"
	halt -f
fi
wait_for /dev/vmbus/hv_kvp 20 || exit 1
hv_kvp_daemon || fail "hv_kvp_daemon does not start"
tell "daemon is there"
until [ -e /tmp/shutdown ]; do
	tell "clock $(date +%s)"
	sleep 2
done
tell "asked to shut down"
