# SPDX-License-Identifier: GPL-2.0
#
# For people. What kbuild reads is the file Kbuild.

VM := tools/testing/vm

# Given on the command line or in the environment, and passed on to the scripts.
export KDIR KSRC KVER UNPATCHED JOBS KCONFIG_FRAGMENTS DEBIAN_MIRROR FUZZ_MINUTES

# A module for one's own kernel needs that kernel's build folder only.
OWN_KDIR := $(or $(KDIR),/lib/modules/$(shell uname -r)/build)
# A kernel that clang built wants its modules from clang too.
OWN_MAKE = $(MAKE) -C $(OWN_KDIR) M=$(CURDIR) \
	$(if $(shell grep -s '^CONFIG_CC_IS_CLANG=y' $(OWN_KDIR)/.config),$(if $(LLVM),,LLVM=1))

LANES := $(filter-out %.awk %.sh guest,$(notdir $(wildcard tools/testing/lanes/*)))

.PHONY: modules modules_install clean help setup demo deb fuzz bench bench-native \
	rust-analyzer docs check $(addprefix check-,$(LANES))

modules:
	@tools/kdir $(OWN_KDIR)
	$(OWN_MAKE) modules

modules_install:
	$(OWN_MAKE) modules_install

clean:
	@test ! -d $(OWN_KDIR) || $(OWN_MAKE) clean
	rm -rf build rust-project.json

help:
	@echo 'kvm_irqroute: interrupt routes of KVM, in Rust'
	@echo
	@echo '  make KDIR=...          build kvm_irqroute.ko for the kernel built in KDIR'
	@echo '  make deb               a package that builds it for the backports kernels of a Debian 13'
	@echo '  make modules_install   install it (KDIR= as above, INSTALL_MOD_PATH= as usual)'
	@echo '  make clean             remove what was built here'
	@echo
	@echo '  make demo              boot Debian'\''s kernel, show routes handled by C and by Rust'
	@echo '  make demo ARCH=arm64   the same on arm64: the test kernel, cross-compiled and emulated'
	@echo '  make check             run all tests but the long ones'
	@$(foreach lane,$(LANES),echo '  make check-$(lane)' | \
		awk '{ printf "%-24s ", $$0 }'; sed -n '4s/^# //p' tools/testing/lanes/$(lane);)
	@echo '  make fuzz              random operations for FUZZ_MINUTES=: twin VMs, and a model of EOIs'
	@echo '  make bench             count and time what routes cost, unpatched, on C and on Rust (ARCH=arm64: of that)'
	@echo '  make bench-native      time the decisions alone, on this CPU'
	@echo '  make rust-analyzer     write rust-project.json: this crate, its bindings, the kernel'"'"'s'
	@echo '  make docs              build the documentation, in build/Documentation and build/rustdoc'
	@echo '  make setup             only get ready for these: tools, kernel, module, selftests'
	@echo
	@echo '  $(VM)/run -- COMMAND   run any command in the test kernel (see --help)'
	@echo
	@echo 'demo, check, bench and setup work in a userland with Debian 13, and keep what they'
	@echo 'build in $${XDG_CACHE_HOME:-~/.cache}/kvm_irqroute. They take'
	@echo '  KSRC=  a source tree of Linux $${KVER}.y to build from    KVER=  major.minor'
	@echo '  KDIR=  a patched kernel that is built already           JOBS=  compilers at once'

setup:
	@$(VM)/module
	@$(VM)/selftests
	@$(VM)/toolchain

# On which system, what makes it, and where the program is built: for each architecture.
DEMO_ARCH := $(patsubst x86_64,x86,$(or $(ARCH),x86))
DEMO_SYSTEM_x86 := --kernel stock
DEMO_SETUP_x86 := $(VM)/stock
DEMO_BUILD_x86 := build/route_vm
DEMO_SYSTEM_arm64 := --arch arm64
DEMO_SETUP_arm64 := $(VM)/toolchain && $(VM)/module
DEMO_BUILD_arm64 := build/arm64/route_vm
DEMO_BUILD = $(DEMO_BUILD_$(DEMO_ARCH))

demo:
	@$(DEMO_SETUP_$(DEMO_ARCH))
	@$(VM)/userland make -s -C samples/route_vm ARCH=$(DEMO_ARCH) O=$(CURDIR)/$(DEMO_BUILD) LDFLAGS=-static
	@$(VM)/userland $(VM)/run $(DEMO_SYSTEM_$(DEMO_ARCH)) --mode rust -- $(DEMO_BUILD)/route_vm --mode both

FUZZ_MINUTES ?= 6
FUZZERS := irq_routing_twins irq_eoi_oracle irq_eoi_threads

# Each of them has a third of the time.
fuzz:
	@$(VM)/module
	@$(VM)/selftests
	@$(VM)/run --timeout $$((FUZZ_MINUTES * 60 + 900)) -- sh -c 'status=0; for fuzzer in $(FUZZERS); do \
		build/selftests/x86/$$fuzzer --seconds $$(($(FUZZ_MINUTES) * 20)) || status=1; done; exit $$status'

deb:
	@tools/dkms/deb

bench:
	@tools/bench/run

bench-native:
	@tools/bench/native/run

RUST_PROJECT ?= rust-project.json
CRATES := $(CURDIR)/build/rust-analyzer
BINDINGS := $(CRATES)/module/rust/bindings/generated.rs

# The bindings are made for the object, which need not compile just now.
rust-analyzer:
ifdef KDIR
	@cd $(or $(wildcard $(KDIR)/source),$(KDIR)) && test -f rust/kernel/lib.rs -a -f include/linux/kvm_irqroute.h || { \
		echo "The source of the kernel in $(KDIR) lacks its Rust crates, or patches/ of this module."; \
		echo "Name the build of a full, patched source; or try that of the test bed: make rust-analyzer"; exit 1; } >&2
	@mkdir -p $(CRATES)/kernel
	@rm -f $(BINDINGS)
	@$(OWN_MAKE) MO=$(CRATES)/module rust/kvm_irqroute_main.o || test -f $(BINDINGS)
	@$(OWN_MAKE) M=$(CRATES)/kernel rust-analyzer
	@tools/rust-project $(CRATES)/kernel/rust-project.json $(BINDINGS) $(RUST_PROJECT) $(RUST_SYSTEM)
	@echo "  wrote $(RUST_PROJECT)"
else
	@$(VM)/rust-analyzer
endif

docs:
	@tools/docs

check:
	@tools/testing/check

$(addprefix check-,$(LANES)):
	@tools/testing/check $(@:check-%=%)
