/* SPDX-License-Identifier: MIT */
/* inspect's build/, mesh/ and log/. */
#ifndef BUILD_INSPECT_H
#define BUILD_INSPECT_H

/* Of the program and its protocols; changes with a release. */
#define PARAVISOR_VERSION "0.1"

/* `image`: "debug" or "release"; kept. */
void build_inspect_register(const char *image);

#endif
