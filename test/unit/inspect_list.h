/* SPDX-License-Identifier: MIT */
/*
 * What a test brings up in inspect, held against paravisor/inspect.list.
 * Failures are cmocka's. The list is read from the directory that `make check`
 * runs in.
 */
#ifndef TEST_INSPECT_LIST_H
#define TEST_INSPECT_LIST_H

/*
 * Renders all of `path` (of inspect_render()). Each value's path is in the
 * list, none is there twice. `as`: where it stands in the daemon's tree, when
 * the test has it elsewhere; else NULL.
 */
void inspect_list_check(const char *path, const char *as);

/* Each path of the list that begins with `start` was in what was checked so
 * far, but for those that need not be there. */
void inspect_list_complete(const char *start);

#endif
