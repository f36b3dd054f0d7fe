#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The demo's part inside the VM: two processes of samples/, a socket between
# them, a screenshot while the picture is up.
#
# Usage: guest.sh PICTURE.png MODULE      (MODULE: the driver behind the node)

picture=$1
module=/sys/module/$2
node=/dev/udmabuf

say() { echo "vm: $*"; }

fail() {
	echo "vm: $*" >&2
	# Not to leave the consumer waiting for someone.
	[ -z "$consumer" ] || kill "$consumer" 2>/dev/null
	exit 1
}

# How many users a loadable module has. The node is open for a moment only, so
# these are its living buffers.
users() { cat "$module/refcnt"; }

[ -c $node ] || fail "there is no $node"
[ -d "$module" ] || fail "the module $2 is not loaded"
say "Linux $(uname -r) is up, $2 is loaded, $node is there"

work=$(mktemp -d) || fail "cannot make a directory"
cd "$work" || fail "cannot go to $work"
mkfifo hold said || fail "cannot make pipes"

# What the consumer says comes through one pipe; the other is its "Enter".
/consumer --socket "$work/socket" <hold >said &
consumer=$!
exec 4>hold 5<said
until [ -S socket ]; do
	kill -0 $consumer 2>/dev/null || fail "the consumer ended early"
	sleep 0.1
done

/producer --node $node --socket "$work/socket" "$picture" || fail "the producer failed"

shown=
while [ -z "$shown" ] && read -r line <&5; do
	echo "$line"
	case $line in *": on screen"*) shown=yes ;; esac
done
[ "$shown" ] || fail "the picture did not get to the screen"

if [ -e "$module/refcnt" ]; then
	say "the producer is gone, the buffer lives: $2 has $(users) user"
	[ "$(users)" -gt 0 ] || fail "the buffer on the screen is not of $2"
fi

# The host takes the screenshot and answers on our standard input.
echo "@@vm:screendump"
read -r answer
[ "$answer" = ok ] || fail "no screenshot: $answer"

exec 4>&-
wait $consumer || fail "the consumer failed"
consumer=

if [ -e "$module/refcnt" ]; then
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		[ "$(users)" -eq 0 ] && break
		sleep 0.5
	done
	[ "$(users)" -eq 0 ] || fail "both processes are gone, but $2 has $(users) users"
	say "the consumer is gone too, and the buffer with it: $2 has 0 users"
fi
