/* SPDX-License-Identifier: MIT */
/*
 * Serial options, theory of operation
 *
 * Turns the text of --com3 and its sisters into a struct serial_spec. Pure:
 * opens nothing, resolves no names (addresses are numeric), keeps pointers
 * into the text. A failure is the rule that the text breaks, as static text;
 * the caller knows the option's name and value and prints all three.
 */
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "serial_back.h"

static const char *parse_tcp(const char *text, struct serial_spec *spec)
{
	static const char rule[] = "expected listen=tcp:IP:PORT";
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV |
					      AI_PASSIVE,
				  .ai_socktype = SOCK_STREAM };
	const char *colon = strrchr(text, ':');
	struct addrinfo *info;
	char host[64];
	size_t len;

	if (!colon || colon == text || !colon[1])
		return rule;
	len = colon - text;
	if (text[0] == '[' && colon[-1] == ']') {
		text++;
		len -= 2;
	}
	if (len >= sizeof(host))
		return rule;
	memcpy(host, text, len);
	host[len] = '\0';
	/* getaddrinfo() takes any number and cuts it to 16 bits. */
	if (strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
	    strlen(colon + 1) > 5 || atoi(colon + 1) > 65535)
		return "the port must be a number from 0 to 65535";
	if (getaddrinfo(host, colon + 1, &hints, &info))
		return "the address must be a numeric IPv4 or [IPv6] address";
	spec->kind = SERIAL_TCP;
	memcpy(&spec->address, info->ai_addr, info->ai_addrlen);
	spec->address_len = info->ai_addrlen;
	freeaddrinfo(info);
	return NULL;
}

static const char *parse_listen(const char *text, struct serial_spec *spec)
{
	struct sockaddr_un unix_address;

	if (!strncmp(text, "tcp:", 4))
		return parse_tcp(text + 4, spec);
	if (!*text)
		return "the path is missing";
	if (strlen(text) >= sizeof(unix_address.sun_path))
		return "a socket's path has at most 107 bytes";
	spec->kind = SERIAL_UNIX;
	spec->path = text;
	return NULL;
}

const char *serial_spec_parse(const char *text, struct serial_spec *spec)
{
	static const struct {
		const char *name;
		enum serial_kind kind;
	} plain[] = {
		{ "none", SERIAL_NONE },
		{ "stderr", SERIAL_STDERR },
		{ "console", SERIAL_CONSOLE },
		{ "term", SERIAL_CONSOLE },
	};
	struct serial_spec parsed = { .text = text };
	const char *rule = NULL;

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		if (strcmp(text, plain[i].name))
			continue;
		parsed.kind = plain[i].kind;
		*spec = parsed;
		return NULL;
	}
	if (!strncmp(text, "term,name=", 10)) {
		/* The name titles a window; a console has none. */
		parsed.kind = SERIAL_CONSOLE;
	} else if (!strncmp(text, "file=", 5)) {
		parsed.kind = SERIAL_FILE;
		parsed.path = text + 5;
		if (!*parsed.path)
			rule = "the path is missing";
	} else if (!strncmp(text, "listen=", 7)) {
		rule = parse_listen(text + 7, &parsed);
	} else {
		rule = "expected none, stderr, console, term, file=PATH, "
		       "listen=PATH or listen=tcp:IP:PORT";
	}
	if (!rule)
		*spec = parsed;
	return rule;
}
