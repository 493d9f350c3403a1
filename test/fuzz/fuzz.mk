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
fuzz_parsers := $(shell awk '/^[a-z]/ && $$2 == "parser" { \
	for (i = 3; i <= NF; i++) print $$i }' test/fuzz/targets)
fuzz_wraps := $(shell awk '/^[a-z]/ && $$2 == "wrap" { \
	for (i = 3; i <= NF; i++) print $$1 ":" $$i }' test/fuzz/targets)
# $(call fuzz_sources,TARGET)
fuzz_sources = test/fuzz/$(1).c test/fuzz/fuzz.c \
	$(patsubst $(1):%,%,$(filter $(1):%,$(fuzz_pairs)))

FUZZ_CFLAGS := $(CFLAGS) -O2 -Wno-gnu-variable-sized-type-not-at-end \
	-fno-omit-frame-pointer -fno-sanitize-recover=all \
	-fsanitize=fuzzer-no-link,address,undefined
# Which values are compared is told of parsers alone: what judges them, or holds
# their memory, compares as often, and nothing that an input could aim at. Two
# parsers walk through all channel ids; to report that took two thirds of the
# time.
fuzz_quiet := $(filter-out $(fuzz_parsers),$(sort $(foreach t,$(fuzz_targets),\
	$(call fuzz_sources,$(t))))) relay/connection.c relay/offer.c
$(call object,fuzz,$(fuzz_quiet)): \
	FUZZ_CFLAGS += -fno-sanitize-coverage=trace-cmp
# Each check of an alignment is a comparison too: nine of ten that were told of.
# In parsers it is left to build/replay.
$(call object,fuzz,$(fuzz_parsers)): FUZZ_CFLAGS += -fno-sanitize=alignment
COVER_CFLAGS := $(CFLAGS) -O0 --coverage
$(eval $(call objects,fuzz,clang,$$(FUZZ_CFLAGS),host,$$(host_ready) \
	test/fuzz/fuzz.mk))
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
