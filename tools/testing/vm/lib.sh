# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# What the scripts of the test bed share: places, messages, steps, locks and
# stamps. Sourced, never run.

set -euo pipefail

# Not everything that starts scripts sets it.
export HOME=${HOME:-~}
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/kvm_irqroute
VM=$TOP/tools/testing/vm
# Whose kernel, VM and tests, as the kernel spells it.
ARCH=${ARCH:-x86}
ARCH=${ARCH/#x86_64/x86}
BUILD=$TOP/build
[ "$ARCH" = x86 ] || BUILD+=/$ARCH
LOGS=$BUILD/log

# The newest that there is a series for.
KVER=${KVER:-$(find "$TOP/patches" -maxdepth 1 -name 'v*' -printf '%P\n' | sort -V | sed -n '$s/^v//p')}
JOBS=${JOBS:-$(nproc)}
PATCHES=$TOP/patches/v$KVER
# What the test kernel is configured with: what any has, and what only this one needs.
CONFIGS=("$VM/config/base.config" "$VM/config/$ARCH.config")
[ ! -f "$VM/config/v$KVER.config" ] || CONFIGS+=("$VM/config/v$KVER.config")
# config_of_any_patch: of a kernel with any number of patches. It has no Rust, which takes longer to prepare
# than KVM does to build, and none of the options that patches bring.
config_of_any_patch() { grep -hvE '^CONFIG_(RUST|RUST_OVERFLOW_CHECKS|KVM_IRQROUTE|KVM_AMD_TEST_POSTING)=' "${CONFIGS[@]}"; }
MODULE=$BUILD/module/kvm_irqroute.ko

say() { printf '%s\n' "$*" >&2; }

# die MESSAGE [REMEDY]: the one clear message a failure ends with.
die()
{
	say "error: $1"
	[ $# -lt 2 ] || say "remedy: $2"
	exit "${DIE_STATUS:-1}"
}

case "$TOP$CACHE" in
*[[:space:]]*)
	die "kbuild cannot work in a path with spaces: $TOP, $CACHE" \
	    "move the checkout, or set XDG_CACHE_HOME to a path without spaces"
	;;
esac

[ -f "$VM/arch/$ARCH.sh" ] || die "there is no test bed for ARCH=$ARCH" "$(cd "$VM/arch" && echo *.sh)"

mkdir -p "$CACHE/lock" "$LOGS"

is_debian() { [ "$(. /etc/os-release && echo "${ID:-}")" = debian ]; }

# Whether this is the userland: see there. A Debian 13 with another rustc than its own
# cannot build modules for Debian's kernels.
in_userland()
{
	local release

	[ ! -f /etc/kvm_irqroute-userland ] || return 0
	case ${USERLAND:-} in
	host)	return 0 ;;
	root)	return 1 ;;
	esac
	release=$(. /etc/os-release 2>/dev/null && echo "${ID:-}:${VERSION_ID:-}")
	[ "$release" = debian:13 ] || return 1
	[ ! -x /usr/bin/rustc ] || [[ $(/usr/bin/rustc --version) == "rustc 1.85."* ]]
}

# What makes up a system: each root has its own.
SYSTEM_FOLDERS='bin|boot|dev|etc|lib|lib32|lib64|libx32|lost\+found|proc|run|sbin|sys|usr|var'

# Its tools come ahead of those that a user has elsewhere: rustc above all, which must
# match the library sources that the kernel builds core from.
USERLAND_PATH=/usr/sbin:/usr/bin:/sbin:/bin

if in_userland; then
	CALLERS_PATH=$PATH
	export PATH=$USERLAND_PATH
elif [ -z "${STAYS_OUTSIDE:-}" ]; then
	program=$(readlink -f "$0")
	CALLED_OUTSIDE=$program OUTSIDE_PATH=$PATH OUTSIDE_CWD=$PWD exec "$VM/userland" "$program" "$@"
fi

# elapsed SECONDS-AT-START
elapsed()
{
	local t=$((SECONDS - $1))

	printf '%d:%02d' $((t / 60)) $((t % 60))
}

# heartbeat TITLE START LOG: shows that a step is alive and what it does; on a
# terminal by rewriting one line, else by a line now and then. Ends with its parent.
heartbeat()
{
	local title=$1 start=$2 log=$3 last beat=0

	while sleep 1 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
		last=$({ tail -n 1 "$log" | tr -cd '[:print:]' | cut -c 1-40; } 2>/dev/null) || true
		if [ -t 2 ]; then
			printf '\r\033[K  ...   %-44s %6s  %s' "$title" "$(elapsed "$start")" "$last" >&2
		elif [ $((++beat % 30)) -eq 0 ]; then
			printf '  ...   %-44s %6s  %s\n' "$title" "$(elapsed "$start")" "$last" >&2
		fi
	done
}

# step NAME TITLE REMEDY COMMAND...: runs COMMAND (a program or a function) with
# its output in $LOGS/NAME.log.
step()
{
	local name=$1 title=$2 remedy=$3 log=$LOGS/$1.log start=$SECONDS beat status
	shift 3

	: >"$log"
	heartbeat "$title" "$start" "$log" 9>&- &
	beat=$!
	# The subshell keeps `set -e` at work inside functions: bash switches it off
	# in whatever has its status tested in place.
	set +e
	(set -e; "$@") >"$log" 2>&1 </dev/null 9>&-
	status=$?
	set -e
	kill "$beat" 2>/dev/null || true
	wait "$beat" 2>/dev/null || true
	[ ! -t 2 ] || printf '\r\033[K' >&2
	if [ $status -ne 0 ]; then
		say "  FAIL  $title ($(elapsed "$start"))"
		# The end of a parallel build's log seldom tells what went wrong.
		{ grep -m 3 -E '(^|[: ])(fatal )?error(\[E[0-9]+\])?: ' "$log" || true; tail -n 10 "$log"; } |
			cut -c 1-160 | sed 's/^/        /' >&2
		say "        log: $log"
		die "step '$name' failed with status $status" "$remedy"
	fi
	say "  done  $(printf '%-44s %6s' "$title" "$(elapsed "$start")")"
}

# verdict NAME COMMAND...: one test of a lane, with COMMAND's output in a log of its
# own below the lane's folder $log.
verdict()
{
	local name=$1
	shift
	# The shell does not stop at a failing command in here: each says so itself.
	if "$@" >"$log/$name.log" 2>&1; then
		echo "ok $name"
	else
		echo "not ok $name $log/$name.log"
	fi
}

# What the kernel's complaints start with, and what its log may have in front. Lockdep,
# KASAN, KCSAN and RCU's own checks put WARNING or BUG first.
COMPLAINTS='WARNING: |BUG: |kernel BUG at |Oops: |Kernel panic |general protection fault'
COMPLAINTS+='|[Uu]nable to handle |stack segment: |divide error: |invalid opcode: |double fault: '
COMPLAINTS+='|Internal error: '
COMPLAINTS+='|UBSAN: |refcount_t: |list_(add|del) corruption|rust_kernel: panicked'
# Those that only say that time went by.
LATE='watchdog: |BUG: workqueue lockup|INFO: task .* blocked for more|(rcu: )?INFO: rcu_.*(stall|kthread)'
COMPLAINTS+="|$LATE"
LOG_PREFIX='^(<[0-9]+>)?(\[ *[0-9.]+\])?(\[ *[CT][0-9]+\])? *'

# lock NAME: no two runs do the same thing at once. Held until the script ends.
lock()
{
	local file=$CACHE/lock/$1

	exec 9>"$file"
	flock --timeout 5 9 && return
	say "  wait  another run is at work ($file)"
	flock 9
}
unlock() { exec 9>&-; }

# series KVER: the patches of a series, in order. files_of PATCH...: what they change
series()
{
	local folder=$TOP/patches/v$1

	sed "s,#.*,,; /^[[:space:]]*$/d; s,^,$folder/," "$folder/series"
}
files_of() { [ $# -eq 0 ] || sed -nE 's,^(---|\+\+\+) [ab]/([^\t]+).*,\2,p' "$@" | sort -u; }

hash() { sha256sum | cut -c 1-16; }
# hash_of WORD...
hash_of() { printf '%s\n' "$@" | hash; }
# hash_files FILE-OR-FOLDER...: of names and contents, wherever the checkout is
hash_files() { find -H "$@" -type f -print0 | sort -z | xargs -0r sha256sum | sed "s,  $TOP/,  ," | hash; }

# free_mb_or_die MB: room on the disk that holds the cache.
free_mb_or_die()
{
	local free

	free=$(df --output=avail -m "$CACHE" | tail -n 1)
	[ "$free" -ge "$1" ] || die "$((free)) MB free in $CACHE, $1 are needed" \
		"make room, or point XDG_CACHE_HOME to a larger disk"
}

DEBIAN_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# Where Debian comes from: as this system's apt has it, unless told otherwise.
debian_mirror()
{
	local mirror

	# shellcheck disable=SC2016 # apt's variables, not the shell's
	mirror=${DEBIAN_MIRROR:-$({ apt-get indextargets --format '$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
		sed -n 's/^Debian|//p' | head -n 1; } 2>/dev/null)} || true
	echo "${mirror:-http://deb.debian.org/debian}"
}

# install_packages PACKAGE...: with apt, whose lists may be missing or stale.
install_packages()
{
	local get=(apt-get install --yes --no-install-recommends "$@")

	export DEBIAN_FRONTEND=noninteractive
	"${get[@]}" || { apt-get update && "${get[@]}"; }
}

# beside N COMMAND...: in the background, once fewer than N are at work. Each has a process group, as what
# runs in the background of a script's own hears of no SIGINT. Who uses it calls end_beside_at_exit first, or
# end_beside in a trap on EXIT of its own.
beside=()
beside()
{
	local n=$1 pid at_work
	shift

	while :; do
		at_work=()
		for pid in $(jobs -rp); do
			[[ " ${beside[*]} " != *" $pid "* ]] || at_work+=("$pid")
		done
		beside=("${at_work[@]}")
		[ ${#beside[@]} -ge "$n" ] || break
		wait -n "${beside[@]}" || true
	done
	[ $# -gt 0 ] || return 0
	set -m
	# A terminal may stop whoever is in the background and writes to it.
	{ trap '' TTOU; "$@"; } </dev/null &
	beside+=($!)
	set +m
}
# into FILE COMMAND...: FILE has what COMMAND printed, and is not there before it has come to its end.
# kept FILE NAME [LOG]: prints that, or that the test NAME failed as there is nothing.
into()
{
	rm -f "$1"
	"${@:2}" >"$1.part"
	mv "$1.part" "$1"
}
kept() { cat "$1" 2>/dev/null || echo "not ok $2 ${3:-$1.part}"; }

end_beside()
{
	local pid

	for pid in "${beside[@]}"; do
		kill -- "-$pid" 2>/dev/null || true
	done
}
end_beside_at_exit()
{
	trap end_beside EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}

# with_source COMMAND...: the kernel's source comes while COMMAND installs what builds it. The network and one CPU
# are the limit of the one, the disk is that of the other. Whoever needs the source still asks for it.
with_source()
{
	end_beside_at_exit
	[ -n "${KSRC:-}" ] || [ -f "$CACHE/source/$KVER.origin" ] || beside 2 "$VM/source" >/dev/null
	"$@"
	beside 1
}

# Stamps remember the hash of what a step was last done with.
stamped() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }
stamp() { printf '%s\n' "$2" >"$1"; }

# kernel_id KDIR: changes when the kernel in KDIR was built anew.
kernel_id() { hash_of "$1" "$(cat "$1/built" 2>/dev/null || stat -c %Y "$1/Module.symvers")"; }

# What the userland does not have in the version that is needed.
VNG_VERSION=1.42
VNG_ROOT=$CACHE/virtme-ng-$VNG_VERSION-trixie

# What the build of a kernel takes on make's command line. A tool named in the
# environment (RUSTC=/..., BINDGEN=/...) wins over the one found in PATH.
# Config fragments, and kernels of one's own, that are for clang have its symbol. GCC is faster.
MAKE_ARGS=()
if [ -n "${KDIR:-}" ]; then
	compiled_as=("$KDIR/.config")
else
	read -d '' -ra compiled_as <<<"${KCONFIG_FRAGMENTS:-}" || true
	compiled_as+=("${CONFIGS[@]}")
fi
! grep -qsx CONFIG_CC_IS_CLANG=y "${compiled_as[@]}" || MAKE_ARGS+=(LLVM=1)
for tool in RUSTC RUSTDOC RUSTFMT CLIPPY_DRIVER BINDGEN CC LD HOSTRUSTC RUST_LIB_SRC; do
	[ -z "${!tool:-}" ] || MAKE_ARGS+=("$tool=${!tool}")
done
[ -z "${RUSTC:-}" ] || [ -n "${HOSTRUSTC:-}" ] || MAKE_ARGS+=("HOSTRUSTC=$RUSTC")

# shellcheck source=arch/x86.sh
. "$VM/arch/$ARCH.sh"

# The same sources give the same build, whoever builds them and when.
export KBUILD_BUILD_TIMESTAMP=1970-01-01 KBUILD_BUILD_USER=kvm_irqroute KBUILD_BUILD_HOST=test
# What cargo and pip download belongs in the cache as well, unless the user has
# set them up to take it from elsewhere.
[ -n "${CARGO_HOME:-}" ] || [ -e "$HOME/.cargo/config.toml" ] || export CARGO_HOME=$CACHE/cargo
export PIP_CACHE_DIR=${PIP_CACHE_DIR:-$CACHE/pip}
# A parent make's flags (a job server, variables) are not for the kernel's build, nor is a compiler that
# MAKE_ARGS does not know of.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES LLVM
