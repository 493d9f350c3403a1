# SPDX-License-Identifier: MIT
#
# How fuzz targets are built: three programs of each.
#
#	build/fuzz/T	libFuzzer, clang, ASan and UBSan; `make fuzz`
#	build/replay/T	replay_main.c, gcc, ASan and UBSan; `make check`
#	build/cover/T	replay_main.c, gcc, gcov; `make fuzz T=coverage`

fuzz_targets := $(shell awk '/^[a-z]/ && !seen[$$1]++ { print $$1 }' \
	test/fuzz/targets)
fuzz_pairs := $(shell awk '/^[a-z]/ && ($$2 == "parser" || $$2 == "with") { \
	for (i = 3; i <= NF; i++) print $$1 ":" $$i }' test/fuzz/targets)
fuzz_wraps := $(shell awk '/^[a-z]/ && $$2 == "wrap" { \
	for (i = 3; i <= NF; i++) print $$1 ":" $$i }' test/fuzz/targets)
# $(call fuzz_sources,TARGET)
fuzz_sources = test/fuzz/$(1).c test/fuzz/fuzz.c \
	$(patsubst $(1):%,%,$(filter $(1):%,$(fuzz_pairs)))

FUZZ_CFLAGS := $(CFLAGS) -O2 -Wno-gnu-variable-sized-type-not-at-end \
	-fno-omit-frame-pointer -fno-sanitize-recover=all \
	-fsanitize=fuzzer-no-link,address,undefined
# These walk through all channel ids; to report each comparison of that took two
# thirds of the time.
$(patsubst %,build/obj/fuzz/relay/%.o,connection offer): \
	FUZZ_CFLAGS += -fno-sanitize-coverage=trace-cmp
COVER_CFLAGS := $(CFLAGS) -O0 --coverage
$(eval $(call objects,fuzz,clang,$$(FUZZ_CFLAGS),host,$$(host_ready)))
$(eval $(call objects,cover,$$(HOST_CC),$$(COVER_CFLAGS),host,$$(host_ready)))

# $(call fuzz_program,DIRECTORY,KIND OF OBJECTS,TARGET,LINKER,MORE SOURCES)
define fuzz_program
build/$(1)/$(3): $(call object,$(2),$(call fuzz_sources,$(3)) $(5))
	$$(call step,LD,$(4) $(patsubst $(3):%,-Wl$$(comma)--wrap=%,$(filter \
		$(3):%,$(fuzz_wraps))) -o $$@ $$^ $$(call archives,host,$$(HOST_LIBS)))
endef
$(foreach t,$(fuzz_targets),\
	$(eval $(call fuzz_program,fuzz,fuzz,$(t),clang -pthread \
		-fsanitize=fuzzer$$(comma)address$$(comma)undefined)) \
	$(eval $(call fuzz_program,replay,unit,$(t),$$(HOST_CC) -pthread \
		-fsanitize=address$$(comma)undefined,test/fuzz/replay_main.c)) \
	$(eval $(call fuzz_program,cover,cover,$(t),$$(HOST_CC) -pthread \
		--coverage,test/fuzz/replay_main.c)))

# Corpora run every time, like unit tests.
build/check/fuzz.ok: $(fuzz_targets:%=build/replay/%) run-again
	@mkdir -p $(@D); rm -f $@
	@test/fuzz/replay $(fuzz_targets) && touch $@
