# SPDX-License-Identifier: MIT
# Rules for $(BUILD)/unpack_libs.o: the decoders, ours of XZ and those of Debian's static libraries, in one object.
#
# Why and how: docs/design/001-boot-decompressors.md. The top-level Makefile includes this.

UNPACK_LIBS := $(addprefix -l:,libz.a liblz4.a libzstd.a)
UNPACK_LIBDIR := $(dir $(shell $(CC) -print-file-name=libz.a))
UNPACK_API := unpack_gzip unpack_xz unpack_lz4 unpack_zstd

# The hypervisor's side of the border is compiled like the rest of it.
OBJ += $(addprefix $(BUILD)/obj/boot/,unpack_shim.o unpack_run.o)

# The libraries' side sees the C library's headers, and may do what the libraries do (SSE, red zone).
UNPACK_OBJ := $(addprefix $(BUILD)/unpack/,unpack_codecs.o unpack_lzma2.o unpack_xz.o)

$(UNPACK_OBJ): $(BUILD)/unpack/%.o: $(HV)/boot/%.c $(HV)/boot/unpack_codecs.h $(HV)/boot/unpack_lzma2.h
	@mkdir -p $(@D)
	@echo "  CC      boot/$*.c (with the libraries' headers)"
	@$(CC) -std=gnu17 -O2 -g -ffreestanding -fPIE -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables \
		-ffile-prefix-map=$(CURDIR)/= -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
		-Wno-missing-field-initializers -Werror -I$(HV) -c $< -o $@

# Take in what the four functions reach, gather it in sections that are freed after boot, hide every other name, and
# send what is left of the C library to unpack_shim.c.
$(BUILD)/unpack_libs.o: $(UNPACK_OBJ) $(HV)/boot/unpack.lds
	@echo "  LD      $@"
	@$(LD) -r --gc-sections -T $(HV)/boot/unpack.lds -L$(UNPACK_LIBDIR) $(UNPACK_OBJ) $(UNPACK_LIBS) -o $@.tmp
	@$(OBJCOPY) $(addprefix --keep-global-symbol=,$(UNPACK_API)) \
		--redefine-sym malloc=unpack_malloc --redefine-sym calloc=unpack_calloc --redefine-sym free=unpack_free \
		--redefine-sym __stack_chk_fail=unpack_stack_smashed \
		--redefine-sym ZSTD_trace_decompress_begin=unpack_trace_begin \
		--redefine-sym ZSTD_trace_decompress_end=unpack_trace_end --strip-unneeded $@.tmp $@
	@rm -f $@.tmp
