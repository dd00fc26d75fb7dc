/*
 * taint.h - does a value of a request decide more than it should where it ends up? Pure, without
 * allocation; also part of the agent.
 *
 * A statement is cut into tokens. Where the value is found in it and lies within one literal, it was
 * written into the text instead of being bound to a parameter; where it reaches over the literal's end,
 * it decides what the statement does.
 */
#ifndef IAST_TAINT_H
#define IAST_TAINT_H

#include <stdint.h>

#include "base/span.h"

enum taint {
	TAINT_NONE, /* it is not in there, or where it does no harm */
	TAINT_INSIDE, /* in one literal or word: joined into the text. May be chance, if seen once */
	TAINT_BROKEN, /* it has become part of the text's structure */
};

struct taint_result {
	enum taint taint;
	size_t at; /* where the value is */
	/* The same for the same text with other literals, and for the place of the value in it. */
	uint64_t shape;
};

/* SQL (ISO 9075's tokens, with the quotes of SQLite, MySQL and PostgreSQL). */
struct taint_result taint_sql(struct span statement, struct span value);
/* What is given to /bin/sh -c (POSIX, Shell Command Language, 2.2 and 2.3). */
struct taint_result taint_shell(struct span line, struct span value);
/* A path that leads up, or was given whole. */
struct taint_result taint_path(struct span path, struct span value);
/* A host that is looked up: the value is it, or a URL of it. */
struct taint_result taint_host(struct span host, struct span value);
/* Markup that is sent as it came. */
struct taint_result taint_html(struct span page, struct span value);

/* A hash of a text that is the same in every process. */
uint64_t taint_hash(struct span text, uint64_t seed);
/*
 * The statement for people: literals are "?", so that nobody's data is shown. Returns what was written
 * to `to`, at most `size` bytes.
 */
size_t taint_sql_masked(struct span statement, char *to, size_t size);

#endif
