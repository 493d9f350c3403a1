// SPDX-License-Identifier: MIT
/*
 * Requests: answers, formatted. No state, no thread.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "request.h"

void request_ok(struct request *request, const char *ok)
{
	request->answer(request, ok, NULL);
}

void request_error(struct request *request, const char *format, ...)
{
	char *text;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	request->answer(request, NULL, text ? text : "out of memory");
	free(text);
}
