/* operator_internal.h - the parts of operators, for operator*.c alone. */
#ifndef WAF_OPERATOR_INTERNAL_H
#define WAF_OPERATOR_INTERNAL_H

#include "base/compiler.h"
#include "base/mem.h"
#include "parse/address.h"
#include "waf/operator.h"
#include "waf/xml_valid.h"

struct phrases;
struct fuzzy_hashes;

enum rbl_provider { RBL_OTHER, RBL_HTTPBL, RBL_URIBL };

struct operator
{
	enum operator_kind kind;
	bool negated;
	bool dynamic;
	struct span parameter; /* ours */
	int64_t number; /* of eq, ge, gt, le, lt */
	struct regex *pattern; /* of rx, rxGlobal, verify*; NULL: it always matches */
	struct phrases *phrases; /* of pm, pmFromFile */
	struct cidr_set addresses; /* of ipMatch, ipMatchFromFile */
	uint32_t bytes[8]; /* of validateByteRange: a bit for each byte allowed */
	const struct libinjection *libinjection;
	const struct geo_db *geo;
	struct xml_validator *xml; /* of validateSchema, validateDTD */
	struct fuzzy_hashes *hashes; /* of fuzzyHash */
	enum rbl_provider provider; /* of rbl, whose parameter is the list's name */
	struct span httpbl_key;
	uint32_t program; /* of inspectFile */
};

/* ---- operator_pattern.c: PCRE2 ----------------------------------------------------------------- */

/* NULL with a message. An empty pattern is ".*", as in libmodsecurity. */
struct regex *operator_pattern_new(struct span text, struct err *err);
bool operator_match_rx(const struct operator* op, struct regex_scratch *scratch,
		       struct span parameter, struct span value, struct operator_match *match);
bool operator_match_rx_global(const struct operator* op, struct regex_scratch *scratch,
			      struct span parameter, struct span value,
			      struct operator_match *match);
bool operator_match_verify(const struct operator* op, struct regex_scratch *scratch,
			   struct span value, struct operator_match *match);

/* ---- operator_phrases.c: pm -------------------------------------------------------------------- */

/* The parameter of pm, or with `lines` the content of a file. */
struct phrases *phrases_new(struct span text, bool lines, struct err *err);
void phrases_free(struct phrases *p);
const struct span *phrases_at(const struct phrases *p, size_t index);
/* *piece is the part of the value, *text what libmodsecurity calls the match. */
bool phrases_match(const struct phrases *p, struct span value, struct span *piece,
		   struct span *text);

/* ---- operator_fuzzy.c: fuzzyHash --------------------------------------------------------------- */

/* "FILE SCORE" as fuzzyHash has it. */
int fuzzy_parameter(struct span parameter, struct span *file, int *score, struct err *err);
/* The hashes of a file, one a line; `name` stands for it in messages. */
struct fuzzy_hashes *fuzzy_hashes_new(struct span text, struct span name, int score,
				      struct err *err);
void fuzzy_hashes_free(struct fuzzy_hashes *hashes);
bool fuzzy_hashes_match(const struct fuzzy_hashes *hashes, struct span value);

/* ---- operator_rbl.c ---------------------------------------------------------------------------- */

/* What the parameter of rbl and SecHttpBlKey say. */
int rbl_compile(struct operator* op, struct span httpbl_key, struct err *err);

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
