/* operator_internal.h - the parts of operators, for operator*.c alone. */
#ifndef WAF_OPERATOR_INTERNAL_H
#define WAF_OPERATOR_INTERNAL_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "parse/address.h"
#include "waf/operator.h"
#include "waf/xml_valid.h"

struct phrases;

struct operator
{
	enum operator_kind kind;
	bool negated;
	bool dynamic;
	struct span parameter; /* ours */
	int64_t number; /* of eq, ge, gt, le, lt */
	pcre2_code
		*pattern; /* of rx, rxGlobal, verify*; NULL for a pattern that always matches */
	struct phrases *phrases; /* of pm, pmFromFile */
	struct cidr_set addresses; /* of ipMatch, ipMatchFromFile */
	uint32_t bytes[8]; /* of validateByteRange: a bit for each byte allowed */
	const struct libinjection *libinjection;
	const struct geo_db *geo;
	struct xml_validator *xml; /* of validateSchema, validateDTD */
};

struct operator_scratch {
	pcre2_match_context *context;
	pcre2_jit_stack *jit_stack;
	pcre2_match_data *all; /* with captures */
	pcre2_match_data *none; /* of the whole match only */
};

/* ---- operator_pattern.c: PCRE2 ----------------------------------------------------------------- */

/* NULL with a message. An empty pattern is ".*", as in libmodsecurity. */
pcre2_code *pattern_compile(struct span text, struct err *err);
bool operator_match_rx(const struct operator* op, struct operator_scratch *scratch,
		       struct span parameter, struct span value, struct operator_match *match);
bool operator_match_rx_global(const struct operator* op, struct operator_scratch *scratch,
			      struct span parameter, struct span value,
			      struct operator_match *match);
bool operator_match_verify(const struct operator* op, struct operator_scratch *scratch,
			   struct span value, struct operator_match *match);

/* ---- operator_phrases.c: pm -------------------------------------------------------------------- */

/* The parameter of pm, or with `lines` the content of a file. */
struct phrases *phrases_new(struct span text, bool lines, struct err *err);
void phrases_free(struct phrases *p);
const struct span *phrases_at(const struct phrases *p, size_t index);
/* *piece is the part of the value, *text what libmodsecurity calls the match. */
bool phrases_match(const struct phrases *p, struct span value, struct span *piece,
		   struct span *text);

/* ---- operator_check.c -------------------------------------------------------------------------- */

int byte_range_parse(uint32_t bytes[8], struct span text, struct err *err);
int addresses_parse(struct cidr_set *set, struct span text, bool lines, struct err *err);
/* Each is true when the value is not valid, and gives the part that is not. */
bool check_byte_range(const uint32_t bytes[8], struct span value, struct span *piece);
bool check_url_encoding(struct span value, struct span *piece);
bool check_utf8_encoding(struct span value, struct span *piece);
bool check_contains_word(struct span value, struct span word, struct span *piece);
/* Of the digits in a text: true when they are a valid number. */
bool verify_credit_card(struct span text);
bool verify_cpf(struct span text);
bool verify_ssn(struct span text);
bool verify_svnr(struct span text);

#endif
