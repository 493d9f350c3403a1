# SPDX-License-Identifier: MIT
#
# What an e2e case file (AREA/NAME.t) is written with; sourced by it.
#
#	. test/e2e/lib.sh
#	case_two_vps() { vmm_start ...; expect ...; vmm_end 0; }
#	run_cases 'two_vps: VTL2 boots with 2 VPs' ...
#
# A case is a function that returns 0 when it passed, or calls `fail WHY'. It
# runs in a shell of its own, in the project's directory; its files are in
# $case_dir = build/log/AREA/CASE. What stands in a log there that no healthy
# run says (see scan) fails it, unless it was announced by `allow REGEX'.
#
# Environment, set by run: FLAVOUR, area, LAB_HOLD, PACE, by which all seconds
# in case files are multiplied. Set by whoever looks into one: CASES, the names of
# the cases to run, of those of all files; what is left out is said.
#
# Only a failure of the lab itself (status 125 of vmm's command, or 5, a VP is
# stuck) makes a case run again, once, with the first run's files kept in
# $case_dir.lab-failed.

lab=test/lab/lab
igvm=build/$FLAVOUR/paravisor-$FLAVOUR.igvm
PACE=${PACE:-1}
number=0

note() { printf '# %s\n' "$*"; }

fail() {
	note "$*" >&2
	exit 1
}

# Lines that match REGEX are expected in this case.
allow() { printf '%s\n' "$1" >>"$case_dir/allowed"; }

# console_start FILE ARGS...: runs vmm; what its console says is in FILE, `send'
# types. $vmm_log has vmm's own lines.
console_start() {
	local said=$1

	shift
	vmm_log=$case_dir/vmm.log
	rm -f "$case_dir/typed"
	mkfifo "$case_dir/typed"
	exec {typing}<>"$case_dir/typed"
	printf '%q ' vmm "$@" >>"$case_dir/commands"
	echo >>"$case_dir/commands"
	LAB_ATTEMPTS=1 $lab --timeout $((${vmm_limit:-60} * PACE)) -- "$@" \
		<"$case_dir/typed" >"$said" 2>"$vmm_log" {typing}>&- &
	vmm_pid=$!
}

# vmm_start ARGS...: with COM3 as the console; $com3 is all it said.
vmm_start() {
	com3=$case_dir/com3
	console_start "$com3" --com3 console "$@"
}

# direct_start APPEND ARGS...: the guest of $guest_kernel and $guest_initrd
# without VTL2. The console is COM1; $com1 is all it said.
direct_start() {
	local append="console=ttyS0 quiet loglevel=4 $1"

	shift
	com1=$case_dir/com1
	console_start "$com1" --com1 console -m 512M -p 2 \
		--vtl0-kernel "$guest_kernel/vmlinuz" \
		--vtl0-initrd "$guest_initrd" -c "$append" "$@"
}

send() { printf '%s\n' "$1" >&"$typing"; }

# With -e, that of 1.6 says yes to no input at all: here that is a no, as of 1.7.
jq() {
	local said

	[[ ${1-} == -e* ]] || { command jq "$@"; return; }
	said=$(command jq "$@") || return
	[ -n "$said" ] || return 4
	printf '%s\n' "$said"
}

# control CMD [ARGS]: what the running vmm answers, which has to be `ok'.
control() {
	ask "$@" >"$case_dir/answer"
	jq -e '.ok' "$case_dir/answer" >/dev/null ||
		fail "$1: $(head -c 300 "$case_dir/answer")"
}

# ask CMD [ARGS]: the answer of the vmm whose socket is $control.
ask() {
	jq -cn --arg cmd "$1" --argjson args "${2-{\}}" \
		'{id: 1, cmd: $cmd, args: $args}' |
		timeout $((40 * PACE)) socat -t $((40 * PACE)) - \
			"UNIX-CONNECT:$control"
}

# shell_open SECONDS: COM3 of a debug image answers with a prompt.
shell_open() {
	expect 'init: COM3: Enter starts a shell' "$1"
	send ''
	expect '/ # ' 10
}

vmm_running() { kill -0 "$vmm_pid" 2>/dev/null; }

# expect REGEX SECONDS [FILE]: until a line of COM3 matches.
expect() {
	local file=${3-$com3} i

	for ((i = 0; i < $2 * 10 * PACE; i++)); do
		! grep -aEq "$1" "$file" 2>/dev/null || return 0
		vmm_running || break
		sleep 0.1
	done
	grep -aEq "$1" "$file" 2>/dev/null && return 0
	vmm_running || vmm_reap
	fail "no \`$1' within $2 s in ${file##*/}; last line:" \
		"$(tail -n 1 "$file" | tr -d '\r')"
}

# says FILE REGEX [COUNT]: FILE has that many matching lines (at least one).
says() {
	local seen

	seen=$(grep -aEc "$2" "$1" || true)
	[ "$seen" = "${3-$seen}" ] && [ "$seen" -gt 0 ] ||
		fail "\`$2' is there $seen times, not ${3-once or more}," \
			"in ${1##*/}; last line: $(tail -n 1 "$1" | tr -d '\r')"
}

# One line of what the first disk's model counted, from a file of --stats.
counters() { jq -c '.host.disks[0].nvme' "$1"; }

# stats_to FILE: the running vmm's counters, then the daemon's tree; vmm has
# --control $control --vtl2-vsock-path $vsock.
stats_to() {
	echo '{"id":1,"cmd":"stats"}' |
		timeout $((5 * PACE)) socat -t $((5 * PACE)) - \
			"UNIX-CONNECT:$control" >"$1" ||
		fail "no answer on the control socket"
	jq -e '.ok' "$1" >/dev/null || fail "stats: $(head -c 200 "$1")"
	printf 'CONNECT 5\n{"path":"","depth":8}\n' |
		timeout $((10 * PACE)) socat -t $((5 * PACE)) - \
			"UNIX-CONNECT:$vsock" |
		tail -n +2 >>"$1" || fail "no answer on the vsock"
	jq -es '.[1].partition' "$1" >/dev/null ||
		fail "inspect: $(sed 1d "$1" | head -c 200)"
}

# process WHEN: the daemon as VTL2's kernel sees it, asked for in its shell.
process() {
	# shellcheck disable=SC2016 # for the shell in VTL2
	send 'p=/proc/$(pidof paravisor); read -r _ rss _ <$p/statm
echo "'"$1"': descriptors $(ls $p/fd | wc -l) threads $(ls $p/task | wc -l)"'\
' "mappings $(wc -l <$p/maps) pages $rss end"'
	expect "^$1: descriptors [0-9].* end" 20
	sed -n "s/^$1: \(descriptors [0-9].*\) end.*/\1/p" "$com3" |
		xargs -n 2 >"$case_dir/process.$1"
	[ "$(awk '$2 > 0' "$case_dir/process.$1" | wc -l)" = 4 ] ||
		fail "VTL2's shell answered $(xargs <"$case_dir/process.$1")"
}

# process_kept WHEN THEN PAGES: of both times, it has no more of anything by then
# than it had, and at most PAGES of memory.
process_kept() {
	local name before after

	paste -d ' ' "$case_dir/process.$1" "$case_dir/process.$2" |
		cut -d ' ' -f 1,2,4 >"$case_dir/process"
	while read -r name before after; do
		[ "$name" != pages ] || before=$((before + $3))
		[ "$after" -le "$before" ] ||
			fail "the daemon's $name: $after, at most $before"
	done <"$case_dir/process"
}

# Sets $vmm_status; the lab's own failures end the case.
vmm_reap() {
	vmm_status=0
	wait "$vmm_pid" || vmm_status=$?
	echo "status $vmm_status" >>"$case_dir/commands"
	case $vmm_status in
	5|125) touch "$case_dir/lab-failed"
		fail "the lab failed: status $vmm_status";;
	esac
}

# vmm_end STATUS SECONDS: vmm ends on its own with that status.
vmm_end() {
	local i

	for ((i = 0; i < $2 * 10 * PACE; i++)); do
		vmm_running || break
		sleep 0.1
	done
	if vmm_running; then
		vmm_stop
		fail "vmm still runs after $2 s, status $1 was expected"
	fi
	vmm_reap
	[ "$vmm_status" = "$1" ] ||
		fail "vmm ended with status $vmm_status instead of $1:" \
			"$(tail -n 1 "$vmm_log")"
}

# Ends a vmm that has nothing more to show; any status will do but the lab's.
vmm_stop() {
	kill "$vmm_pid" 2>/dev/null || true
	vmm_reap
}

# Lines no healthy run has: of both kernels, the daemon, vmm, sanitizers.
scan() {
	local bad='WARNING:|BUG:|Oops|[Ss]tall|I/O error|timed out'

	bad+='|runtime error:|ERROR: [A-Za-z]*Sanitizer|Call Trace:'
	grep -aEnH "$bad" "$case_dir"/* 2>/dev/null |
		grep -av '/\(allowed\|commands\|output\):' |
		if [ -s "$case_dir/allowed" ]; then
			grep -aEvf "$case_dir/allowed"
		else
			cat
		fi
}

run_once() {
	local status=0

	rm -rf "$case_dir"
	mkdir -p "$case_dir"
	(
		set -u
		"case_$1"
		[ -z "${vmm_pid-}" ] || ! vmm_running || vmm_stop
	) >"$case_dir/output" 2>&1 || status=$?
	if [ -e "$case_dir/typed" ]; then
		rm -f "$case_dir/typed"
	fi
	return $status
}

# run_case NAME DESCRIPTION
run_case() {
	local status=0 found

	number=$((number + 1))
	case_dir=build/log/$area/$1
	rm -rf "$case_dir.lab-failed"
	run_once "$1" || status=$?
	if [ -e "$case_dir/lab-failed" ]; then
		mv "$case_dir" "$case_dir.lab-failed"
		note "lab failed in $1, tried again (kept: $case_dir.lab-failed)"
		mkdir -p build/log/lab
		echo "$(date -u +%FT%TZ) e2e $area $1" >>build/log/lab/retries
		status=0
		run_once "$1" || status=$?
	fi
	found=$(scan)
	if [ $status = 0 ] && [ -z "$found" ]; then
		echo "ok $number - $2"
		return
	fi
	echo "not ok $number - $2"
	sed 's/^# *//; s/^/# /' "$case_dir/output"
	[ -z "$found" ] || head -n 5 <<<"$found" | sed 's/^/# unexpected: /'
}

# refused REGEX ARGS...: vmm refuses these with status 2 and one line that
# matches; nothing is started.
refused() {
	local line=$1 status=0

	shift
	timeout 20 build/host/vmm "$@" >"$case_dir/out" 2>"$case_dir/said" \
		</dev/null || status=$?
	[ $status = 2 ] || fail "status $status instead of 2: $*"
	[ "$(wc -l <"$case_dir/said")" = 1 ] && [ ! -s "$case_dir/out" ] ||
		fail "not one line: $(cat "$case_dir/out" "$case_dir/said")"
	grep -Eq -- "$line" "$case_dir/said" ||
		fail "no \`$line' in: $(cat "$case_dir/said")"
}

# run_cases 'NAME: DESCRIPTION'...
run_cases() {
	local each name
	local -a chosen=()

	for each; do
		name=${each%%:*}
		case " ${CASES-$name} " in
		*" $name "*) chosen+=("$each");;
		*)
			rm -rf "build/log/$area/$name" # another run's
			note "$name: not run, CASES says \`$CASES'";;
		esac
	done
	echo "1..${#chosen[@]}"
	for each in "${chosen[@]}"; do
		run_case "${each%%:*}" "${each#*: }"
	done
}

# A case of the other flavour is not a skip: it is no case of this one.
for_flavour() {
	[ "$FLAVOUR" = "$1" ] || { echo '1..0'; exit 0; }
}
