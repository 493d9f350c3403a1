# SPDX-License-Identifier: MIT
#
# A guest that has its devices and then does nothing: for what happens to VTL2
# meanwhile. It gives up in the end, so that nobody waits for it for ever.
set -u

wait_for /sys/bus/vmbus/devices 20 || exit 1
echo "staying: $(ls /sys/bus/vmbus/devices | wc -l) devices"
sleep 600
exit 1
