# SPDX-License-Identifier: GPL-2.0
#
# Who pins how much: buffers by the command that has made them.

function add(command, ino, bytes)
{
	if (ino in owner)
		return
	owner[ino] = command
	size[ino] = bytes
	buffers[command]++
	now[command] += bytes
	if (now[command] > most[command])
		most[command] = now[command]
}

# Buffers that were there before: "before COMMAND", ino, bytes, apart by tabs.
/^before / {
	split(substr($0, length("before ") + 1), parts, "\t")
	add(parts[1], parts[2], parts[3])
	next
}

!take($0) {
	next
}

event == "create" {
	made[command]++
	add(command, value["ino"], value["bytes"])
}

event == "release" && value["ino"] in owner {
	who = owner[value["ino"]]
	buffers[who]--
	now[who] -= size[value["ino"]]
	delete owner[value["ino"]]
}

END {
	for (who in most)
		order[++n] = who
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && most[order[j]] > most[order[j - 1]]; j--) {
			swap = order[j]
			order[j] = order[j - 1]
			order[j - 1] = swap
		}
	if (!n)
		print "there are no buffers, and none was made"
	else
		printf "%-16s %8s %12s %12s %8s\n", "command", "buffers", "KiB pinned", "at most", "made"
	for (i = 1; i <= n; i++) {
		who = order[i]
		printf "%-16s %8d %12.0f %12.0f %8d\n", who, buffers[who], now[who] / 1024,
		       most[who] / 1024, made[who]
	}
}
