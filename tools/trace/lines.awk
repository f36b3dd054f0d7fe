# SPDX-License-Identifier: GPL-2.0
#
# Takes lines of events apart, as trace_pipe and "perf script" print them: command,
# event, and value[] by the name of the field.

function take(line,   head, i, n, parts, at)
{
	if (!match(line, /: udmabuf_rs_[a-z]+: ino=|udmabuf_rs:udmabuf_rs_[a-z]+: ino=/))
		return 0
	head = substr(line, 1, RSTART - 1)
	line = substr(line, RSTART)
	sub(/^[^_]*_rs:/, "", line)
	sub(/^[: ]*udmabuf_rs_/, "", line)
	# trace_pipe: command-PID [CPU] flags time
	sub(/-[0-9]+ +(\([ 0-9-]+\) +)?\[[0-9]+\].*/, "", head)
	gsub(/^ +| +$/, "", head)
	command = head
	event = substr(line, 1, index(line, ":") - 1)
	split("", value)
	n = split(substr(line, index(line, ":") + 2), parts, " ")
	for (i = 1; i <= n; i++)
		if (at = index(parts[i], "="))
			value[substr(parts[i], 1, at - 1)] = substr(parts[i], at + 1)
	# Commands may have spaces, and tracefs may not know one yet: its event says it.
	if (sub(/.* comm=/, "", line))
		command = line
	return 1
}

/LOST [0-9]+ EVENTS/ {
	lost++
}

END {
	if (lost)
		print "events were lost: the figures are too low"
}
