# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# What is asked of the built module, on each architecture. Sourced by lanes, after
# vm/lib.sh; all of it works below the lane's folder $log.

# lint NAME PATTERN VARIABLE=VALUE...: builds with a linter on; what matches is a failure.
# Then nothing is kept, or make would not look at those files again.
lint()
{
	local name=$1 pattern=$2
	shift 2
	if ! "$VM/module" "$name" "$@" || grep -E "$pattern" "$LOGS/$name.log"; then
		cp "$LOGS/$name.log" "$log/$name.build.log"
		rm -rf "${BUILD:?}/$name"
		return 1
	fi
}

clippy_check() { lint clippy '^(warning|error)|: (warning|error): ' CLIPPY=1; }

# By the names of what core calls to panic.
no_panics()
{
	local names

	names=$(llvm-nm -u "$MODULE") || return
	! grep -iE 'panicking|slice.*_fail|(unwrap|expect)_failed' <<<"$names"
}
