# SPDX-License-Identifier: MIT
#
# `make check`: every C file of this tree by both compilers, sparse and cppcheck,
# then the unit tests. Results of the tools stand in build/check/TOOL/FILE.ok
# and are made anew when the file's object is; unit tests run every time.

# --- Which files, and how each is compiled ------------------------------------

shim_sources := $(wildcard igvm/shim*.c)
target_sources := $(paravisor_sources) $(wildcard rootfs/init.c)
unit_tests := $(wildcard test/unit/*_test.c)
host_sources := $(filter-out $(target_sources) $(shim_sources) $(unit_tests) \
	$(tiny_sources) test/check/%,$(wildcard $(addsuffix *.c,include/ relay/ \
	nvme/ mana/ igvm/ rootfs/ rootfs/sources/ test/*/) paravisor/pvctl*.c))
checked := $(target_sources) $(shim_sources) $(tiny_sources) $(host_sources) \
	$(unit_tests)

# $(call kind,FILE.c): whose object file stands for FILE.
kind = $(if $(filter $(target_sources),$(1)),$(FLAVOUR),$(if $(filter \
	$(shim_sources),$(1)),shim,$(if $(filter $(tiny_sources),$(1)),tiny,$(if \
	$(filter $(unit_tests),$(1)),unit,host))))
flags_debug = $(TARGET_CFLAGS) $(musl_headers)
flags_release = $(flags_debug)
flags_shim = $(flags_debug) $(SHIM_CFLAGS)
flags_tiny = $(flags_debug) $(TINY_CFLAGS)
flags_host = $(HOST_CFLAGS)
flags_unit = $(HOST_CFLAGS)
libs_of = $(if $(filter host unit,$(call kind,$(1))),host,$(if $(filter shim,$(call \
	kind,$(1))),shim,musl))
check_flags = $(flags_$(call kind,$(1))) $(call includes,$(1),$(call libs_of,$(1)))

# A tool that is not musl-gcc finds musl's headers this way, and then needs those
# of its own compiler.
musl_headers = -nostdinc -isystem /usr/include/x86_64-linux-musl
clang_headers = -isystem $(shell clang -print-resource-dir)/include
gcc_headers = -isystem $(shell gcc -print-file-name=include)

# --- The tools ----------------------------------------------------------------

# KVM's interface has structures with a flexible array at the end, which are used
# with room for it behind: a GNU extension, like others that -std=gnu11 allows.
clang = clang -Wno-gnu-variable-sized-type-not-at-end
# What sparse says is an error; declarations are the compilers' business. Of the
# two forms of _Atomic it knows only the qualifier, and not all builtins.
sparse = sparse -Wbitwise -Waddress-space -Wsparse-error -Wno-decl \
	-Wno-unknown-attribute "-D_Atomic(T)=T" "-D__builtin_ia32_rdtsc()=0ull"
cppcheck = cppcheck -q --std=c11 --error-exitcode=1 --inline-suppr \
	--enable=warning,performance,portability --max-configs=1 \
	--suppress=missingInclude --suppress=missingIncludeSystem \
	--suppress=toomanyconfigs --suppress=normalCheckLevelMaxBranches

# cppcheck does not know what cmocka's assertions exclude.
tools = clang sparse $(if $(filter $(unit_tests),$(1)),,cppcheck)

# $(call tool_rule,TOOL,FILE.c,LABEL,COMMAND)
define tool_rule
build/check/$(1)/$(2).ok: build/obj/$(call kind,$(2))/$(2:.c=.o) test/check/check.mk
	$$(call step,$(3),$(4) $(2) && touch $$@)
endef
$(foreach f,$(checked),\
	$(eval $(call tool_rule,clang,$(f),CLANG,$$(clang) $$(call check_flags,$(f)) \
		$$(clang_headers) -c -o /dev/null)) \
	$(eval $(call tool_rule,sparse,$(f),SPARSE,$$(sparse) \
		$$(filter-out -W%,$$(call check_flags,$(f))) $$(gcc_headers))) \
	$(eval $(call tool_rule,cppcheck,$(f),CPPCHK,$$(cppcheck) -Iinclude \
		$$(inc_$(call area,$(f))))))

# sparse itself is under test: of the two mistakes in the fixture, and of those
# alone, it must complain.
build/check/fixture.ok: test/check/sparse_fixture.c test/check/check.mk \
		include/le.h paravisor/include/pv/guest_memory.h
	$(call step,SPARSE,test/check/fixture $< $(sparse) -Iinclude \
		-Iparavisor/include && touch $@)

# --- Unit tests: a line `SOURCES: a.c b.c` names what a test is linked with ---

unit_sources = $(1) $(shell sed -n '1,5s,^/[*/] *SOURCES: *\([^*]*\).*,\1,p' $(1))

define unit_rule
build/unit/$(notdir $(1:.c=)): $(call object,unit,$(call unit_sources,$(1)))
	$$(call step,LD,$$(HOST_CC) $$(HOST_LDFLAGS) -fsanitize=address$$(comma)undefined \
		-o $$@ $$^ $$(call archives,host,$$(HOST_LIBS)) -Wl$$(comma)--as-needed \
		-lcmocka -lslirp -ledit)
build/check/unit/$(notdir $(1:.c=)).ok: build/unit/$(notdir $(1:.c=)) run-again
	@rm -f $$@
	$$(call step,TEST,timeout 120 $$< && touch $$@)
endef
$(foreach t,$(unit_tests),$(eval $(call unit_rule,$(t))))
run-again:

# --- Threads: tests that have some, with ThreadSanitizer as well --------------

threaded_tests := $(patsubst %,test/unit/%_test.c,relay_threads relay_ring \
	relay_netvsp_threads mana_vport mana_vport_trouble paravisor_trace \
	paravisor_diag_server)
# It knows no fences: it takes them for nothing, and says so.
TSAN_CFLAGS := $(CFLAGS) -O1 -fno-omit-frame-pointer -fsanitize=thread -Wno-tsan
$(eval $(call objects,tsan,$$(HOST_CC),$$(TSAN_CFLAGS),host,$$(host_ready)))

# It wants the address space as it was when it was written: hence setarch.
define tsan_rule
build/tsan/$(notdir $(1:.c=)): $(call object,tsan,$(call unit_sources,$(1)))
	$$(call step,LD,$$(HOST_CC) $$(HOST_LDFLAGS) -fsanitize=thread \
		-o $$@ $$^ $$(call archives,host,$$(HOST_LIBS)) -lcmocka)
build/check/tsan/$(notdir $(1:.c=)).ok: build/tsan/$(notdir $(1:.c=)) run-again
	@rm -f $$@
	$$(call step,TSAN,timeout 300 setarch -R $$< && touch $$@)
endef
$(foreach t,$(threaded_tests),$(eval $(call tsan_rule,$(t))))

# --- Conformance: every row of the list has a test ----------------------------

build/check/conformance.ok: test/check/conformance test/check/conformance.list \
		$(unit_tests)
	$(call step,ROWS,$^ && touch $@)

# --- Rules of the protocols: each has its id, each mistake its test -----------

build/check/rules.ok: test/check/rules paravisor/violation_rules.h \
		test/e2e/mistakes.list $(paravisor_sources) $(unit_tests)
	$(call step,RULES,$< paravisor/violation_rules.h test/e2e/mistakes.list \
		test/unit $(paravisor_sources) && touch $@)

# --- Names of inspect's tree --------------------------------------------------

build/check/paths.ok: test/check/paths paravisor/inspect.list \
		$(paravisor_sources)
	$(call step,PATHS,$^ && touch $@)

# --- Waits: each has its deadline in a table ----------------------------------

build/check/waits.ok: test/check/waits paravisor/waits.list \
		$(paravisor_sources)
	$(call step,WAITS,$^ && touch $@)

# --- The library of the e2e cases: what it takes for an answer -----------------

build/check/e2e_lib.ok: test/check/e2e_lib test/e2e/lib.sh | $(ready)
	$(call step,E2E-LIB,$^ && touch $@)

# --- The control socket of vmm: its schema says what it does -------------------

build/check/control_schema.ok: test/check/control_schema \
		test/vmm/control.schema.json build/unit/vmm_control_test
	$(call step,SCHEMA,$^ && touch $@)

# --- pvctl, and its schema; other clients of the diagnosis protocol -------------

build/check/pvctl.ok: test/check/pvctl paravisor/pvctl.schema.json \
		build/host/pvctl build/unit/paravisor_diag_server_test \
		paravisor/pvctl.1
	$(call step,PVCTL,$^ && touch $@)

build/check/report.ok: test/check/report build/host/pvctl \
		test/fuzz/seeds_blackbox.py $(wildcard test/fuzz/corpus/blackbox/*)
	$(call step,REPORT,$< build/host/pvctl test/fuzz/corpus/blackbox && \
		touch $@)

build/test/diag_pb2.py: paravisor/diag.proto | $(ready)
	$(call step,PROTOC,protoc --python_out=$(@D) -I$(<D) $<)
build/check/diag_protocol.ok: test/check/diag_protocol test/e2e/diag/client.py \
		test/check/diag_transcripts build/test/diag_pb2.py \
		build/unit/paravisor_diag_server_test
	$(call step,PROTO,$^ && touch $@)

# --- Fuzz targets: what they found once must not be found again ---------------

include test/fuzz/fuzz.mk

# --- The whole ----------------------------------------------------------------

# "RESULT OBJECT": a result counts when it is no older than the object.
check_items := $(foreach f,$(checked),$(foreach t,$(call tools,$(f)),\
	build/check/$(t)/$(f).ok:build/obj/$(call kind,$(f))/$(f:.c=.o))) \
	$(foreach f,$(checked),build/obj/$(call kind,$(f))/$(f:.c=.o):/) \
	$(foreach t,$(unit_tests),build/check/unit/$(notdir $(t:.c=)).ok:/) \
	$(foreach t,$(threaded_tests),build/check/tsan/$(notdir $(t:.c=)).ok:/) \
	build/check/fixture.ok:/ build/check/fuzz.ok:/ build/check/conformance.ok:/ \
	build/check/rules.ok:/ build/check/paths.ok:/ build/check/waits.ok:/ \
	build/check/control_schema.ok:/ build/check/pvctl.ok:/ \
	build/check/report.ok:/ build/check/e2e_lib.ok:/ \
	build/check/diag_protocol.ok:/
check_targets := $(foreach i,$(check_items),$(firstword $(subst :, ,$(i))))

check-items: $(check_targets)

check: $(ready)
	$(file >build/check.items,$(check_items))
	@status=0; $(MAKE) -k check-items || status=1; \
	test/check/count build/check.items $$status

size: $(IGVM)
	@test/check/size $(OUT) $(FLAVOUR) $(IGVM) $(INITRAMFS) \
		$(LIB)/musl/busybox/busybox

.PHONY: check-items run-again
