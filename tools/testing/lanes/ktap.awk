# SPDX-License-Identifier: GPL-2.0
#
# Turns KTAP into one line per leaf test, as tools/testing/check reads them:
# ok NAME, not ok NAME LOG, skip NAME REASON.
#
# Variables: prefix (put before each name), log_file (named for what failed)
#
# A result that follows results of a deeper level sums them up, so it is no leaf;
# it counts only where it failed although all below it passed. A plan that does
# not match what came is a failure.

function emit(result, name, rest) { print result " " prefix name (rest == "" ? "" : " " rest) }

function close_level(depth, name)
{
	if (depth in plan && plan[depth] != seen[depth])
		emit("not ok", (name == "" ? "" : name ".") "plan", log_file)
	delete plan[depth]
	delete seen[depth]
	delete bad[depth]
	delete title[depth]
}

{ sub(/\r$/, "") }

/^ *# Subtest: / {
	match($0, /^ */)
	title[RLENGTH] = $3
	next
}

/^ *1\.\.[0-9]+/ {
	match($0, /^ */)
	depth = RLENGTH
	text = substr($0, depth + 4)
	if (depth in plan) {
		# One document after another: the next one starts here.
		subtests = title[depth]
		close_level(depth, "")
		if (subtests != "")
			title[depth] = subtests
	}
	plan[depth] = text + 0
	seen[depth] += 0
	if (text + 0 == 0 && text ~ /# SKIP/) {
		sub(/.*# SKIP */, "", text)
		emit("skip", "all", text)
	}
	next
}

/^ *(not )?ok [0-9]+/ {
	match($0, /^ */)
	depth = RLENGTH
	text = substr($0, depth + 1)
	failed = text ~ /^not /
	sub(/^(not )?ok [0-9]+( - | )?/, "", text)
	skip = ""
	if (match(text, / *# *[Ss][Kk][Ii][Pp].*/)) {
		skip = substr(text, RSTART, RLENGTH)
		text = substr(text, 1, RSTART - 1)
		sub(/^ *# *[Ss][Kk][Ii][Pp] */, "", skip)
		if (skip == "")
			skip = "no reason given"
	}
	sub(/ *#.*/, "", text)
	gsub(/[[:space:]]+/, "_", text)
	seen[depth]++

	parent = 0
	worst = 0
	for (d in seen) {
		if (d + 0 > depth) {
			parent = 1
			worst += bad[d]
			close_level(d, text)
		}
	}
	if (failed)
		bad[depth]++
	if (!parent && title[depth] != "")
		text = title[depth] "." text
	if (parent) {
		if (failed && !worst)
			emit("not ok", text, log_file)
	} else if (skip != "") {
		emit("skip", text, skip)
	} else {
		emit(failed ? "not ok" : "ok", text, failed ? log_file : "")
	}
	next
}

END {
	for (d in seen)
		close_level(d, "")
}
