/*
 * operator.h - the operators of SecLang (`@rx`, `@pm`, `@eq` ...), with the answers that
 * libmodsecurity 3.0.9 gives. An operator is compiled once from its text, is immutable, and may be
 * asked from any thread; what a thread needs meanwhile is in a scratch space.
 *
 * Parameters with macros (%{tx.limit}): the engine looks for them with operator_takes_macros(),
 * compiles with `dynamic`, expands for each evaluation and gives the result to operator_match().
 */
#ifndef WAF_OPERATOR_H
#define WAF_OPERATOR_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "parse/regex.h"
#include "waf/libinjection.h"

enum operator_kind {
	OPERATOR_RX, /* also when a rule names no operator */
	OPERATOR_RX_GLOBAL,
	OPERATOR_PM,
	OPERATOR_PM_FROM_FILE, /* also @pmf */
	OPERATOR_BEGINS_WITH,
	OPERATOR_ENDS_WITH,
	OPERATOR_CONTAINS,
	OPERATOR_CONTAINS_WORD,
	OPERATOR_STREQ,
	OPERATOR_STRMATCH, /* as contains */
	OPERATOR_WITHIN,
	OPERATOR_EQ,
	OPERATOR_GE,
	OPERATOR_GT,
	OPERATOR_LE,
	OPERATOR_LT,
	OPERATOR_IP_MATCH,
	OPERATOR_IP_MATCH_FROM_FILE, /* also @ipMatchF */
	OPERATOR_DETECT_SQLI,
	OPERATOR_DETECT_XSS,
	OPERATOR_VALIDATE_BYTE_RANGE,
	OPERATOR_VALIDATE_URL_ENCODING,
	OPERATOR_VALIDATE_UTF8_ENCODING,
	OPERATOR_VERIFY_CC,
	OPERATOR_VERIFY_CPF,
	OPERATOR_VERIFY_SSN,
	OPERATOR_VERIFY_SVNR,
	OPERATOR_GEO_LOOKUP,
	OPERATOR_UNCONDITIONAL_MATCH,
	OPERATOR_NO_MATCH,
	OPERATOR_VALIDATE_DTD,
	OPERATOR_VALIDATE_SCHEMA,
	OPERATOR_FUZZY_HASH,
	/* Asked of the world outside: outside.c, not operator_match. */
	OPERATOR_RBL,
	OPERATOR_INSPECT_FILE,
	/* Of ModSecurity 2; refused by operator_new, as libmodsecurity 3 does. */
	OPERATOR_GSB_LOOKUP,
	OPERATOR_RSUB,
	OPERATOR_VALIDATE_HASH,
	OPERATOR_COUNT,
};

/* What a rule says: "!@ge 5". */
struct operator_text {
	enum operator_kind kind;
	bool negated;
	struct span
		parameter; /* a part of the text, nothing trimmed but the space after the name */
};

/*
 * Splits the second argument of SecRule, its quotes already removed. A text that starts with
 * neither "@" and a letter nor "!@" and a letter is a pattern for rx, after a leading "!". -1 for
 * a name that no operator has.
 */
int operator_text_parse(struct span text, struct operator_text *parts, struct err *err);
/* As documented, "detectSQLi". */
const char *operator_name(enum operator_kind kind);
/* Whether libmodsecurity expands macros in the parameter of this operator. */
bool operator_takes_macros(enum operator_kind kind);
/* Whether the operator's answer for a value depends on nothing else (not on a database or macro). */
bool operator_is_pure(enum operator_kind kind);

/* Whether what it says of a value is known outside only: rbl, inspectFile. */
bool operator_is_of_outside(enum operator_kind kind);
/* Whether it looks at the whole document of an XML body: operator_match_xml. */
bool operator_is_of_xml(enum operator_kind kind);

struct body_xml;
struct geo_db;
struct operator;

struct operator_options {
	/*
	 * Appends the content of the file that pmFromFile or ipMatchFromFile names; the reader
	 * knows relative to what. 0 or -1. NULL: such operators are an error.
	 */
	int (*load)(void *context, struct span name, struct buf *to, struct err *err);
	/*
	 * The path, NUL-terminated, of the file that validateSchema or validateDTD names: it may
	 * include others. 0 or -1. NULL: an error.
	 */
	int (*locate)(void *context, struct span name, const char **path, struct err *err);
	/* The number of the program that inspectFile names. 0 or -1. NULL: an error. */
	int (*program)(void *context, struct span name, uint32_t *number, struct err *err);
	void *load_context;
	/* For detectSQLi and detectXSS; must outlive the operator. NULL: an error. */
	const struct libinjection *libinjection;
	/* For geoLookup; must outlive the operator. NULL: an error. */
	const struct geo_db *geo;
	/* For rbl with a list of httpbl.org: SecHttpBlKey; must outlive the operator. */
	struct span httpbl_key;
	/* The parameter has macros: it is given anew with each match. */
	bool dynamic;
};

/*
 * Compiles. NULL with a message for a pattern or number that is not understood, a file that cannot
 * be read, or an operator that is refused. The parameter is copied. With `dynamic`, only operators
 * that take macros are allowed, and what is wrong with the parameter shows at the match.
 */
struct operator* operator_new(const struct operator_text *text,
			      const struct operator_options *options, struct err *err);
void operator_free(struct operator* op);

enum operator_kind operator_kind_of(const struct operator* op);
bool operator_negated(const struct operator* op);
/* As compiled; for dynamic ones, with the macros in it. */
struct span operator_parameter(const struct operator* op);
/*
 * For engines that match many operators at once: the phrases of pm and pmFromFile as they were
 * read, NULL past the end. A phrase with a byte 0xff never matches, and some that end inside of
 * longer ones are not found (as in libmodsecurity): confirm with operator_match.
 */
const struct span *operator_phrase(const struct operator* op, size_t index);

/* ---- matching -------------------------------------------------------------------------------- */

struct operator_limits {
	uint32_t match_limit; /* PCRE2's count of calls of match(), of one match */
	uint32_t depth_limit; /* of backtracking, in the interpreter */
	uint32_t heap_kib; /* of backtracking memory, in the interpreter */
	size_t jit_stack_bytes; /* the most that the JIT stack of a scratch grows to */
};

/* 1,000,000 calls, depth 20,000, 20 MiB, 512 KiB. */
#define OPERATOR_LIMITS_DEFAULT                                                                \
	((struct operator_limits){.match_limit = 1000000,                                      \
				  .depth_limit = 20000,                                        \
				  .heap_kib = 20480,                                           \
				  .jit_stack_bytes = 512 * 1024})

/* What one thread needs to match; one match at a time. */
/*
 * Searches in long values may take 500 ms together, or what regex_scratch_set_left_ns() says. With
 * none left they find nothing, and say OPERATOR_ERROR_LIMIT.
 */
#define OPERATOR_TIME_NS INT64_C(500000000)
struct regex_scratch *operator_scratch_new(const struct operator_limits *limits,
					   struct err *err);

/* One of what `capture` stores as TX.number. */
struct operator_capture {
	uint32_t number;
	struct span text;
};

enum operator_error {
	OPERATOR_OK,
	OPERATOR_ERROR_LIMIT, /* a limit of PCRE2 was reached: MSC_PCRE_LIMITS_EXCEEDED */
	OPERATOR_ERROR_PATTERN, /* a dynamic pattern does not compile */
	OPERATOR_ERROR_MEMORY,
};

/* Captures of one match beyond these are dropped. */
#define OPERATOR_CAPTURES_MAX 64

struct operator_match {
	struct span piece; /* what matched, to show it: a part of the value, or all of it */
	struct operator_capture captures[OPERATOR_CAPTURES_MAX];
	size_t capture_count;
	/* With an error the operator has not matched, before negation. */
	enum operator_error error;
	char fingerprint[8]; /* of detectSQLi; captures[0] points here */
};

/*
 * Whether the rule matches `value`: negation included. `parameter` is the expanded parameter of a
 * dynamic operator, and ignored for others. `match` may be NULL (then PCRE2 is not asked for
 * captures); otherwise it is filled, and captures point into the value, the operator, the
 * parameter or `match` itself. A negated operator may leave captures; they are of the pattern that
 * matched, so that the rule did not.
 */
bool operator_match(const struct operator* op, struct regex_scratch *scratch,
		    struct span parameter, struct span value, struct operator_match *match);

/*
 * For operators of XML: matches what is not valid, negation included, and all that has no document
 * (NULL) or is not well formed.
 */
bool operator_match_xml(const struct operator* op, const struct body_xml *xml);

/* ---- the world outside ----------------------------------------------------------------------- */

#define RBL_NAME_MAX 253

/*
 * Of rbl: the name under which the list has the value: an address with its parts the other way
 * round (RFC 5782 section 2), or a name. Writes it and a NUL; 0 when no list can have it.
 */
size_t operator_rbl_name(const struct operator* op, struct span value,
			 char to[RBL_NAME_MAX + 1]);
/*
 * Whether this address, a number, says that the value is listed. A list answers with 127.0.0.0/8;
 * some say in there that they do not answer us.
 */
bool operator_rbl_is_listed(const struct operator* op, uint32_t address);
/* Of inspectFile. */
uint32_t operator_program(const struct operator* op);

/* ---- numbers --------------------------------------------------------------------------------- */

/* As stoi(), 0 where that throws: for eq. White space, a sign, digits; what follows is ignored. */
int operator_to_int(struct span text);
/* As atoll(), saturating: for ge, gt, le, lt. */
int64_t operator_to_i64(struct span text);

#endif
