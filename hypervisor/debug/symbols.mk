# SPDX-License-Identifier: MIT
# The symbol table inside the image: made from the first link (lodge.pass1.elf), put into the second. See symbols.c.

$(BUILD)/symtab_empty.o: $(HV)/debug/symtab_empty.S
	@mkdir -p $(@D)
	@$(CC) $(CPPFLAGS) $(AFLAGS) -c $< -o $@

$(BUILD)/symtab.S: $(BUILD)/lodge.pass1.elf scripts/mksyms.sh
	@NM=$(NM) sh scripts/mksyms.sh $< > $@.tmp && mv $@.tmp $@

$(BUILD)/symtab.o: $(BUILD)/symtab.S
	@$(CC) $(AFLAGS) -c $< -o $@
