# SPDX-License-Identifier: GPL-2.0
#
# How long settles take: a histogram for each point, and the bytes that were moved.

take($0) && event == "settle" {
	point = value["point"]
	us = value["ns"] / 1000
	limit = 1
	for (bucket = 0; us > limit; bucket++)
		limit *= 2
	settles[point]++
	count[point, bucket]++
	fetched[point] += value["fetched"]
	pushed[point] += value["pushed"]
	given_up[point] += value["ret"] != 0
	if (bucket > last)
		last = bucket
	any = 1
}

END {
	if (!any)
		print "nothing was settled: no device is staged, or nobody uses a buffer"
	n = split("start end map unmap", points, " ")
	for (p = 1; p <= n; p++)
		if (points[p] in settles)
			show(points[p])
}

function show(point,   bucket, i, bar, most)
{
	printf "%s: %d settles, %.0f bytes fetched, %.0f pushed", point, settles[point],
	       fetched[point], pushed[point]
	print given_up[point] ? sprintf(", %d given up", given_up[point]) : ""
	for (bucket = 0; bucket <= last; bucket++)
		if (count[point, bucket] > most)
			most = count[point, bucket]
	limit = 0.5
	for (bucket = 0; bucket <= last; bucket++) {
		limit *= 2
		if (!count[point, bucket])
			continue
		bar = ""
		for (i = 0; i < 40 * count[point, bucket] / most; i++)
			bar = bar "#"
		printf "  up to %8.0f us %8d %s\n", limit, count[point, bucket], bar
	}
}
