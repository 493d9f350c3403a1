/* SPDX-License-Identifier: MIT */
/*
 * Violations in inspect: how many there were, which rules they broke how often,
 * and the newest of them.
 */
#ifndef VIOLATION_INSPECT_H
#define VIOLATION_INSPECT_H

/* Makes them visible as "violations". Once, at start. */
void violation_publish(void);

#endif
