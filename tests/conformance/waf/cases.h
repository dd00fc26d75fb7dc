/*
 * cases.h - requests for the conformance tests and benchmarks of the firewall, from the regression
 * tests of the Core Rule Set and from lists of labelled values. All memory is the list's arena.
 */
#ifndef TESTS_CONFORMANCE_WAF_CASES_H
#define TESTS_CONFORMANCE_WAF_CASES_H

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

struct case_header {
	struct span name;
	struct span value;
};

enum case_expect {
	CASE_EXPECTS_RULE, /* the rule is logged */
	CASE_EXPECTS_NO_RULE,
	CASE_EXPECTS_REFUSAL, /* by the server or by any rule */
	CASE_EXPECTS_NOTHING,
};

#define CASE_HEADERS_MAX 64

struct request_case {
	struct span title;
	struct span method;
	struct span target;
	struct span protocol; /* "HTTP/1.1" */
	struct case_header headers[CASE_HEADERS_MAX];
	size_t header_count;
	struct span body;
	enum case_expect expect;
	uint32_t rule;
};

struct case_list {
	struct arena arena;
	struct request_case **at;
	size_t count;
	size_t cap;
};

void case_list_init(struct case_list *list);
void case_list_release(struct case_list *list);
/* A zeroed case at the end of the list; NULL without memory. */
struct request_case *case_list_new(struct case_list *list);
void case_add_header(struct request_case *c, struct span name, struct span value);
struct span case_header(const struct request_case *c, struct span name);
/* All stages of the tests below `folder` (crs-tests). 0, or -1 and err. */
int cases_read_crs(struct case_list *list, const char *folder, struct err *err);

enum value_label {
	VALUE_NORMAL,
	VALUE_SQLI,
	VALUE_XSS,
	VALUE_COMMAND,
	VALUE_PATH,
	VALUE_LABELS
};

struct labelled_value {
	struct span text;
	enum value_label label;
};

/* The values of a CSV file (payload, length, attack_type, label). */
int cases_read_values(struct arena *arena, const char *path, struct labelled_value **values,
		      size_t *count, struct err *err);
const char *value_label_name(enum value_label label);

/* An ordinary request with the value in one place. */
enum value_place { IN_QUERY, IN_FORM, IN_JSON, IN_HEADER, IN_COOKIE, VALUE_PLACES };
struct request_case *case_with_value(struct case_list *list, struct span value,
				     enum value_place place);

#endif
