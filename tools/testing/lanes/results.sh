# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Results of what guest/tests and guest/stress ran, as lines for tools/testing/check.
# Sourced by lanes, after vm/lib.sh; all of it works below the lane's folder $log.

# take_apart MODE FILE: leaves one file per test of FILE, one with its status, and
# one with the counters.
take_apart()
{
	awk -v dir="$log/$1" '
		/^== begin / { name = $3; gsub("/", "-", name); file = dir "/" name ".log" }
		/^== end / { print $4 > (dir "/" name ".status"); file = "" }
		/^== counter / { print $3, $4 > (dir "/counters") }
		!/^== / && file != "" { print > file }' "$2"
}

# explained STATUS FILE: whether the results in FILE say why a program, or a VM, has ended so.
# A failed subtest explains that its test failed; but not a crash, a time limit, or what the
# kernel complained of meanwhile.
explained() { [ "$1" -eq 0 ] || { [ "$1" -eq 1 ] && grep -q '^ *not ok' "$2"; }; }

# vm OPTION...: as `run`, and once more if it was QEMU that failed, in which case what was printed is
# taken back. Output goes to files, which are opened anew as what was opened at first does not go back.
vm()
{
	local status=0

	"$VM/run" "$@" || status=$?
	[ $status -eq 122 ] || return $status
	truncate --size 0 /dev/stdout /dev/stderr
	echo "vm: once more, as QEMU has failed (see Documentation/testing.rst)" >>/dev/stderr
	"$VM/run" "$@" >>/dev/stdout 2>>/dev/stderr
}

# results MODE TEST...: one line per subtest where the test prints KTAP, else one.
results()
{
	local mode=$1 dir=$log/$1 test name status leaves
	shift

	for test in "$@"; do
		name=${test//\//-}
		name=$dir/$name
		status=$(cat "$name.status" 2>/dev/null || echo 255)
		touch "$name.log"
		test=$mode.${test##*/}
		leaves=$(awk -v prefix="$test." -v log_file="$name.log" \
			-f "$TOP/tools/testing/lanes/ktap.awk" "$name.log")
		[ -z "$leaves" ] || echo "$leaves"
		case $status in
		0)	[ -n "$leaves" ] || echo "ok $test" ;;
		4)	[ -n "$leaves" ] || echo "skip $test $(grep -m 1 -i skip "$name.log" || echo "exit status 4")" ;;
		*)	explained "$status" <(echo "$leaves") || echo "not ok $test(status:$status) $name.log" ;;
		esac
	done
}

# What a test may take, and a boot, in seconds; and what else each `run` is told.
test_limit=300 boot_limit=2400 run_options=()

# boot NAME MODE TEST...: runs selftests. Leaves one file per test and one with the counters.
boot()
{
	local name=$1 dir=$log/$1 mode=$2 status=0 start=$SECONDS
	local options=("${run_options[@]}" --mode "$mode" --timeout "$boot_limit")
	local command=("$TOP/tools/testing/lanes/guest/tests" "$BUILD/selftests" "$test_limit" "${@:3}")

	if [[ $name == icount.* ]]; then
		options+=(--icount)
		command=(env ICOUNT=1 "${command[@]}")
	fi
	mkdir -p "$dir"
	rm -f "$dir/output" "$dir/run.log"
	vm "${options[@]}" -- "${command[@]}" >>"$dir/output" 2>>"$dir/run.log" || status=$?
	take_apart "$name" "$dir/output"
	# The kernel's complaints make run fail although each test may have passed.
	[ $status -eq 0 ] && echo "ok $name.kernel-log-is-clean" ||
		echo "not ok $name.kernel-log-is-clean $dir/run.log"
	results "$name" "${@:3}"
	say "  done  $(printf '%-44s %6s' "selftests, $name" "$(elapsed "$start")")"
}

# boot_beside NAME MODE TEST...: as `boot`, but the next one starts before it has ended: tests
# run one after the other, and most keep one CPU busy. No more than $at_once are at work.
# booted: waits for all of them, and prints their results in order.
at_once=2 begun=()
boot_beside()
{
	beside $at_once into "$log/$1.results" boot "$@"
	begun+=("$1")
}
booted()
{
	local name

	beside 1
	for name in "${begun[@]}"; do
		kept "$log/$name.results" "$name.comes-to-its-end" "$log/$name/run.log"
	done
	begun=()
}
end_beside_at_exit

# program PREFIX FILE COMMAND...: runs a program that prints KTAP, and keeps what it prints.
program()
{
	local prefix=$1 file=$2 status=0

	rm -f "$file"
	vm "${run_options[@]}" -- "${@:3}" >>"$file" 2>&1 || status=$?
	awk -v prefix="$prefix" -v log_file="$file" -f "$TOP/tools/testing/lanes/ktap.awk" "$file"
	explained $status "$file" || echo "not ok ${prefix}run(status:$status) $file"
}

# stress PREFIX SECONDS KILLS ROUNDS: runs guest/stress on the kernel KDIR with HELPER.
stress()
{
	local run_options=(--mem 4G --timeout 3600)

	program "$1" "$log/$1stress.log" "$TOP/tools/testing/lanes/guest/stress" \
		"$BUILD/selftests/$ARCH/irq_routing_stress" "${HELPER:-$MODULE}" "${@:2}"
}

# expect MODE COUNTER OPERATOR VALUE
expect()
{
	local value

	# A VM that has died has left no counters.
	value=$(sed -n "s/^$2 //p" "$log/$1/counters" 2>/dev/null) || true
	if [ -n "$value" ] && test "$value" "$3" "$4"; then
		echo "ok $1.counter-$2"
	else
		echo "counter $2 is '$value', expected $3 $4" >>"$log/$1/counters.log"
		echo "not ok $1.counter-$2 $log/$1/counters.log"
	fi
}

# expect_all: what the counters say after a run in modes c, rust and verify.
expect_all()
{
	local mode

	expect c vms_total -eq 0
	expect rust vms_total -gt 0
	expect rust scans -gt 0
	expect rust sint_deliveries -gt 0
	expect verify vms_total -gt 0
	expect verify scans -gt 0
	expect verify differences -eq 0
	for mode in c rust verify; do
		expect "$mode" vms_bound -eq 0
	done
}
