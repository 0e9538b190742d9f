# SPDX-License-Identifier: MIT
# Builds the hypervisor and runs the tests that need no machine. `make help` lists the targets.

BUILD ?= build
CC ?= gcc
LD = ld
OBJCOPY = objcopy
NM = nm
HV = hypervisor
VERSION := $(shell cat VERSION)

.PHONY: all programs hypervisor tools man install uninstall unit guests trial-kernel check-headers check-params check-python format clean help FORCE
.DEFAULT_GOAL := programs
all: programs guests unit
programs: hypervisor tools

# --- the hypervisor -----------------------------------------------------------------------------------------------------------
# Only the compiler's own headers and the guest ABI (Debian's libxen-dev) are in reach.
ABI = $(BUILD)/abi
CPPFLAGS = -nostdinc -isystem $(shell $(CC) -print-file-name=include) -isystem $(ABI) -I$(HV) -D__XEN_TOOLS__ -MMD -MP
WARN = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-unused-parameter -Wundef -Werror
CFLAGS = -std=gnu17 -ffreestanding -O2 -g -fPIE -include $(HV)/lib/hidden.h -mno-red-zone -mno-sse -mno-mmx -mno-80387 -msoft-float \
	-fno-stack-protector -fno-asynchronous-unwind-tables -fno-omit-frame-pointer -fno-optimize-sibling-calls -fno-strict-aliasing \
	-fcf-protection=none -fno-jump-tables -ffunction-sections -fdata-sections -ffile-prefix-map=$(CURDIR)/= $(WARN) $(EXTRA_CFLAGS)
AFLAGS = -D__ASSEMBLY__ -g -fcf-protection=none -Wa,--noexecstack

FOLDERS = lib x86 core memory domain sched ipc pv hypercall boot debug
SRC_C := $(filter-out $(HV)/pv/asm_offsets.c $(HV)/boot/unpack_%.c,$(foreach d,$(FOLDERS),$(wildcard $(HV)/$(d)/*.c)))
SRC_S := $(filter-out $(HV)/boot/wrap32.S $(HV)/boot/lodge.lds.S $(HV)/debug/symtab_%.S,$(foreach d,$(FOLDERS),$(wildcard $(HV)/$(d)/*.S)))
OBJ := $(SRC_C:$(HV)/%.c=$(BUILD)/obj/%.o) $(SRC_S:$(HV)/%.S=$(BUILD)/obj/%.o)

include $(HV)/boot/unpack.mk
include $(HV)/debug/symbols.mk

hypervisor: $(BUILD)/lodge.gz

$(ABI)/xen:
	@mkdir -p $(ABI)
	@test -d /usr/include/xen || { echo "libxen-dev is not installed: run ./run, or apt-get install libxen-dev" >&2; exit 1; }
	@ln -sfn /usr/include/xen $@

$(BUILD)/obj/%.o: $(HV)/%.c $(BUILD)/asm_offsets.h | $(BUILD)/compile_info.h $(ABI)/xen
	@mkdir -p $(@D)
	@echo "  CC      $*.c"
	@$(CC) $(CPPFLAGS) -I$(BUILD) $(CFLAGS) -c $< -o $@

$(BUILD)/obj/%.o: $(HV)/%.S $(BUILD)/asm_offsets.h | $(ABI)/xen
	@mkdir -p $(@D)
	@echo "  AS      $*.S"
	@$(CC) $(CPPFLAGS) -I$(BUILD) $(AFLAGS) -c $< -o $@

# Structure offsets for assembly.
$(BUILD)/asm_offsets.h: $(HV)/pv/asm_offsets.c | $(ABI)/xen
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS) -MF $(BUILD)/asm_offsets.d -MT $@ $(CFLAGS) -S $< -o $(BUILD)/asm_offsets.s
	@sed -n 's/^.*->\([A-Z0-9_]*\) [$$]*\(-*[0-9]*\).*/#define \1 \2/p' $(BUILD)/asm_offsets.s > $@

# Written again only when it says something else: a commit compiles just what names it.
$(BUILD)/compile_info.h: FORCE
	@mkdir -p $(@D)
	@printf '#define LODGE_VERSION "%s"\n#define LODGE_COMPILER "%s"\n#define LODGE_DATE "%s"\n#define LODGE_CHANGESET "%s"\n' \
		'$(VERSION)' "$$($(CC) --version | head -n 1)" "$$(git log -1 --format=%cI 2>/dev/null || echo unknown)" \
		"$$(git rev-parse --short HEAD 2>/dev/null || echo unknown)" > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

LINK = $(LD) -nostdlib -static -z noexecstack -z max-page-size=4096 --no-warn-rwx-segments --build-id=sha1 --gc-sections \
	-T $(BUILD)/lodge.lds $(EXTRA_LDFLAGS)

$(BUILD)/lodge.lds: $(HV)/boot/lodge.lds.S $(HV)/x86/layout.h
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS) -D__ASSEMBLY__ -E -P -x c -MF $@.d $< -o $@

# Pass 1 finds the addresses for the symbol table that pass 2 contains; the table lies behind everything else, so nothing moves.
$(BUILD)/lodge.pass1.elf: $(OBJ) $(BUILD)/unpack_libs.o $(BUILD)/symtab_empty.o $(BUILD)/lodge.lds
	@echo "  LD      $@"
	@$(LINK) $(OBJ) $(BUILD)/unpack_libs.o $(BUILD)/symtab_empty.o -o $@

$(BUILD)/lodge.elf: $(BUILD)/lodge.pass1.elf $(BUILD)/symtab.o
	@echo "  LD      $@"
	@$(LINK) $(OBJ) $(BUILD)/unpack_libs.o $(BUILD)/symtab.o -o $@

# Multiboot 1 loaders take 32-bit ELF: wrap the flat image in one.
$(BUILD)/lodge.bin: $(BUILD)/lodge.elf
	@$(OBJCOPY) -O binary $< $@

$(BUILD)/lodge: $(BUILD)/lodge.bin $(HV)/boot/wrap32.S $(HV)/boot/wrap32.lds
	@$(CC) -m32 -c -DIMAGE='"$(BUILD)/lodge.bin"' \
		$(HV)/boot/wrap32.S -o $(BUILD)/wrap32.o
	@$(LD) -m elf_i386 -nostdlib --no-warn-rwx-segments -T $(HV)/boot/wrap32.lds $(BUILD)/wrap32.o -o $@
	@echo "  IMAGE   $@ ($$(stat -c %s $@) bytes)"

$(BUILD)/lodge.gz: $(BUILD)/lodge
	@gzip -9nc $< > $@

-include $(OBJ:.o=.d) $(BUILD)/asm_offsets.d

# --- the tools of Domain 0 ------------------------------------------------------------------------------------------------------
tools:
	@$(MAKE) -s -C tools OUT=$(abspath $(BUILD))

# Manual pages of docs/man.
man:
	@sh scripts/man.sh $(BUILD)/man

# --- on a machine -------------------------------------------------------------------------------------------------------------
PREFIX = /usr
# Builds nothing, so that root owns nothing here.
install uninstall:
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' BUILD='$(BUILD)' sh install/install.sh $@

# --- tests --------------------------------------------------------------------------------------------------------------------
unit:
	@$(MAKE) -s -C tests/unit OUT=$(abspath $(BUILD))/unit run

guests:
	@$(MAKE) -s -C tests/guest OUT=$(abspath $(BUILD))/guest

# The one that shows whether KVM works.
trial-kernel:
	@$(MAKE) -s -C tests/guest OUT=$(abspath $(BUILD))/guest $(abspath $(BUILD))/guest/boot.elf

# Every header compiles alone, and no folder includes what stands below it.
check-headers: $(BUILD)/asm_offsets.h $(BUILD)/compile_info.h
	@sh scripts/check-headers.sh $(CC) $(CPPFLAGS) -I$(BUILD) $(CFLAGS)

# The manual of the command line lists exactly the parameters that exist.
check-params:
	@sh tests/unit/check_params.sh

# No name in the tests' programs that is used and not there, or there and not used.
check-python:
	@pyflakes3 $$(find scripts tests -name '*.py') $$(grep -lrI '^#!.*python3' tests)

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	rm -rf $(BUILD)/obj $(BUILD)/obj-tools $(BUILD)/tools $(BUILD)/unit $(BUILD)/guest $(BUILD)/lodge* $(BUILD)/*.o $(BUILD)/asm_offsets.* $(BUILD)/compile_info.h

help:
	@echo "make                hypervisor and tools"
	@echo "make install        put them on this machine, with units of systemd and entries for GRUB (docs/install.md); DESTDIR=DIR PREFIX=/usr"
	@echo "make uninstall      take them away again"
	@echo "make hypervisor     build/lodge (Multiboot image), build/lodge.gz, build/lodge.elf (with symbols)"
	@echo "make tools          the programs of Domain 0, in build/tools"
	@echo "make man            manual pages, in build/man (needs Debian's package lowdown)"
	@echo "make unit           host unit tests under ASan and UBSan"
	@echo "make guests         the test kernels of tests/guest"
	@echo "make check-headers  every header compiles alone; include order"
	@echo "make check-params   the manual of the command line is complete"
	@echo "make check-python   what pyflakes finds in the tests"
	@echo "make format         clang-format over the tree"
	@echo "make clean          remove build products (not the cached packages)"
	@echo "./run               boot it in QEMU; ./run --help"
	@echo "./check             all tests; ./check --help"
	@echo "EXTRA_CFLAGS=…      more compiler flags"
