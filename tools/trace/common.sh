# SPDX-License-Identifier: GPL-2.0
#
# For the scripts beside this. $1 of each is a number of seconds; the report comes
# after that, or after Ctrl-C.

tracefs=/sys/kernel/tracing
events=udmabuf_rs
seconds=${1:-10}

fail()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

# Says in one sentence what is missing. $1: a tool that is needed as well.
require()
{
	case $seconds in
	'' | *[!0-9]*) fail "'$seconds' is no number of seconds" ;;
	esac
	[ "$(id -u)" = 0 ] || fail "only root may trace: run it with sudo"
	[ -z "${1-}" ] || command -v "$1" >/dev/null || fail "$1 is not installed"
	[ -d $tracefs/events ] ||
		fail "there is no tracefs at $tracefs: mount -t tracefs tracefs $tracefs"
	[ -d /sys/module/$events ] || fail "the module $events is not loaded"
	[ -d $tracefs/events/$events ] ||
		fail "$events has no tracepoints: it is older, or the kernel lacks CONFIG_TRACEPOINTS"
}

# Has the events named recorded, in an instance of tracefs that goes with the script.
start()
{
	instance=$tracefs/instances/$events.$$
	mkdir "$instance" || fail "cannot make an instance of tracefs"
	trap 'stop; rmdir "$instance"' EXIT
	trap : INT TERM
	for name; do
		echo 1 >"$instance/events/$events/${events}_$name/enable" || fail "cannot switch on $name"
	done
}

stop()
{
	echo 0 >"$instance/events/enable"
}

# Has Ctrl-C end the wait, and not what comes after it. A subshell forgets the traps of its parent.
heed()
{
	trap 'interrupted=yes' INT TERM
}

# Prints lines of events as they come.
follow()
{
	heed
	# Ends at the mark that follows the last event; mawk would wait for more. Ctrl-C ends nothing that is
	# in the background.
	sed "/tracing_mark_write: $events end\$/q" "$instance/trace_pipe" &
	[ -n "${interrupted-}" ] || sleep "$seconds"
	stop
	# Twice: sed looks at the line after the one that it is at.
	{ echo "$events end" && echo "$events end"; } >"$instance/trace_marker" || kill $!
	wait
}

# Reads lines to the end, though Ctrl-C ends what writes them. To be the last of a pipeline, which is a
# subshell of its own.
report()
{
	trap '' INT
	exec awk -f "$here/lines.awk" -f "$here/$1.awk"
}
