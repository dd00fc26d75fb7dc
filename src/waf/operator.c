/* operator.c - names, texts, compiling, and which function answers for which operator. */
#include "waf/operator.h"

#include <assert.h>

#include "waf/operator_geo.h"
#include "waf/operator_internal.h"

#define FILE_BYTES_MAX ((size_t)64 << 20)

struct operator_info {
	const char *name;
	bool takes_macros;
	const char *refused; /* why, or NULL */
};

#define NOT_IN_3 "ModSecurity 3 does not have it either"

static const struct operator_info infos[OPERATOR_COUNT] = {
	[OPERATOR_RX] = {"rx", true, NULL},
	[OPERATOR_RX_GLOBAL] = {"rxGlobal", true, NULL},
	[OPERATOR_PM] = {"pm", false, NULL},
	[OPERATOR_PM_FROM_FILE] = {"pmFromFile", false, NULL},
	[OPERATOR_BEGINS_WITH] = {"beginsWith", true, NULL},
	[OPERATOR_ENDS_WITH] = {"endsWith", true, NULL},
	[OPERATOR_CONTAINS] = {"contains", true, NULL},
	[OPERATOR_CONTAINS_WORD] = {"containsWord", true, NULL},
	[OPERATOR_STREQ] = {"streq", true, NULL},
	[OPERATOR_STRMATCH] = {"strmatch", true, NULL},
	[OPERATOR_WITHIN] = {"within", true, NULL},
	[OPERATOR_EQ] = {"eq", true, NULL},
	[OPERATOR_GE] = {"ge", true, NULL},
	[OPERATOR_GT] = {"gt", true, NULL},
	[OPERATOR_LE] = {"le", true, NULL},
	[OPERATOR_LT] = {"lt", true, NULL},
	[OPERATOR_IP_MATCH] = {"ipMatch", false, NULL},
	[OPERATOR_IP_MATCH_FROM_FILE] = {"ipMatchFromFile", false, NULL},
	[OPERATOR_DETECT_SQLI] = {"detectSQLi", false, NULL},
	[OPERATOR_DETECT_XSS] = {"detectXSS", false, NULL},
	[OPERATOR_VALIDATE_BYTE_RANGE] = {"validateByteRange", false, NULL},
	[OPERATOR_VALIDATE_URL_ENCODING] = {"validateUrlEncoding", false, NULL},
	[OPERATOR_VALIDATE_UTF8_ENCODING] = {"validateUtf8Encoding", false, NULL},
	[OPERATOR_VERIFY_CC] = {"verifyCC", false, NULL},
	[OPERATOR_VERIFY_CPF] = {"verifyCPF", false, NULL},
	[OPERATOR_VERIFY_SSN] = {"verifySSN", false, NULL},
	[OPERATOR_VERIFY_SVNR] = {"verifySVNR", false, NULL},
	[OPERATOR_GEO_LOOKUP] = {"geoLookup", false, NULL},
	[OPERATOR_UNCONDITIONAL_MATCH] = {"unconditionalMatch", false, NULL},
	[OPERATOR_NO_MATCH] = {"noMatch", false, NULL},
	[OPERATOR_VALIDATE_DTD] = {"validateDTD", false, NULL},
	[OPERATOR_VALIDATE_SCHEMA] = {"validateSchema", false, NULL},
	[OPERATOR_FUZZY_HASH] = {"fuzzyHash", false, NULL},
	[OPERATOR_RBL] = {"rbl", false, NULL},
	[OPERATOR_INSPECT_FILE] = {"inspectFile", false, NULL},
	[OPERATOR_GSB_LOOKUP] = {"gsbLookup", false, NOT_IN_3},
	[OPERATOR_RSUB] = {"rsub", false, NOT_IN_3},
	[OPERATOR_VALIDATE_HASH] = {"validateHash", false, NOT_IN_3},
};

const char *operator_name(enum operator_kind kind)
{
	return infos[kind].name;
}

bool operator_takes_macros(enum operator_kind kind)
{
	return infos[kind].takes_macros;
}

bool operator_is_pure(enum operator_kind kind)
{
	return kind != OPERATOR_GEO_LOOKUP && !operator_is_of_xml(kind) &&
	       !operator_is_of_outside(kind);
}

bool operator_is_of_outside(enum operator_kind kind)
{
	return kind == OPERATOR_RBL || kind == OPERATOR_INSPECT_FILE;
}

bool operator_is_of_xml(enum operator_kind kind)
{
	return kind == OPERATOR_VALIDATE_DTD || kind == OPERATOR_VALIDATE_SCHEMA;
}

static bool is_letter(char c)
{
	return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}

static bool find_kind(struct span name, enum operator_kind *kind)
{
	if (span_eq_nocase(name, SPAN("pmf")))
		name = SPAN("pmFromFile");
	if (span_eq_nocase(name, SPAN("ipMatchF")))
		name = SPAN("ipMatchFromFile");
	for (size_t i = 0; i < OPERATOR_COUNT; i++) {
		if (span_eq_nocase(name, span_cstr(infos[i].name))) {
			*kind = (enum operator_kind)i;
			return true;
		}
	}
	return false;
}

int operator_text_parse(struct span text, struct operator_text *parts, struct err *err)
{
	size_t end = 1;

	*parts = (struct operator_text){.kind = OPERATOR_RX};
	if (text.len > 0 && text.ptr[0] == '!') {
		parts->negated = true;
		text = span_slice(text, 1, text.len);
	}
	parts->parameter = text;
	if (text.len < 2 || text.ptr[0] != '@' || !is_letter(text.ptr[1]))
		return 0;
	while (end < text.len && text.ptr[end] != ' ' && text.ptr[end] != '\t')
		end++;
	if (!find_kind(span_slice(text, 1, end), &parts->kind))
		return err_set(err, ERR_SYNTAX, "there is no operator \"%.*s\"",
			       SPAN_ARG(span_slice(text, 0, end)));
	parts->parameter = span_slice(text, end + 1, text.len);
	return 0;
}

/* ---- compiling --------------------------------------------------------------------------------- */

/* The phrases, addresses or hashes of the file that the parameter names. */
static int compile_text(struct operator* op, struct span text, struct span file, int score,
			struct err *err)
{
	if (op->kind == OPERATOR_IP_MATCH_FROM_FILE)
		return addresses_parse(&op->addresses, text, true, err);
	if (op->kind == OPERATOR_PM_FROM_FILE)
		op->phrases = phrases_new(text, true, err);
	else
		op->hashes = fuzzy_hashes_new(text, file, score, err);
	return op->phrases || op->hashes ? 0 : -1;
}

static int compile_file(struct operator* op, const struct operator_options *options,
			struct err *err)
{
	struct span file = op->parameter;
	struct buf text;
	int score = 0;
	int result;

	if (!options->load)
		return err_set(err, ERR_INVALID, "files cannot be read here");
	if (op->kind == OPERATOR_FUZZY_HASH &&
	    fuzzy_parameter(op->parameter, &file, &score, err) < 0)
		return -1;
	buf_init(&text, FILE_BYTES_MAX);
	result = options->load(options->load_context, file, &text, err);
	if (buf_failed(&text))
		result = err_set(err, ERR_LIMIT, "\"%.*s\" does not fit into memory",
				 SPAN_ARG(file));
	if (result == 0)
		result = compile_text(op, buf_span(&text), file, score, err);
	buf_release(&text);
	return result;
}

static int compile_program(struct operator* op, const struct operator_options *options,
			   struct err *err)
{
	if (!options->program)
		return err_set(err, ERR_INVALID, "programs cannot be run here");
	return options->program(options->load_context, op->parameter, &op->program, err);
}

static int compile_pattern(struct operator* op, struct err *err)
{
	op->pattern = operator_pattern_new(op->parameter, err);
	return op->pattern ? 0 : -1;
}

static int compile_xml(struct operator* op, const struct operator_options *options,
		       struct err *err)
{
	enum xml_validator_kind kind =
		op->kind == OPERATOR_VALIDATE_DTD ? XML_VALIDATOR_DTD : XML_VALIDATOR_SCHEMA;
	const char *path;

	if (!options->locate)
		return err_set(err, ERR_INVALID, "files cannot be read here");
	if (options->locate(options->load_context, op->parameter, &path, err) < 0)
		return -1;
	op->xml = xml_validator_new(kind, path, err);
	return op->xml ? 0 : -1;
}

static int need(const void *what, const char *text, struct err *err)
{
	return what ? 0 : err_set(err, ERR_INVALID, "%s", text);
}

static int compile(struct operator* op, const struct operator_options *options, struct err *err)
{
	switch (op->kind) {
	case OPERATOR_RX:
	case OPERATOR_RX_GLOBAL:
		/* An empty pattern matches all, without captures. */
		return op->parameter.len > 0 ? compile_pattern(op, err) : 0;
	case OPERATOR_VERIFY_CC:
	case OPERATOR_VERIFY_CPF:
	case OPERATOR_VERIFY_SSN:
	case OPERATOR_VERIFY_SVNR: return compile_pattern(op, err);
	case OPERATOR_PM:
		op->phrases = phrases_new(op->parameter, false, err);
		return op->phrases ? 0 : -1;
	case OPERATOR_PM_FROM_FILE:
	case OPERATOR_FUZZY_HASH:
	case OPERATOR_IP_MATCH_FROM_FILE: return compile_file(op, options, err);
	case OPERATOR_INSPECT_FILE: return compile_program(op, options, err);
	case OPERATOR_RBL: return rbl_compile(op, options->httpbl_key, err);
	case OPERATOR_IP_MATCH:
		return addresses_parse(&op->addresses, op->parameter, false, err);
	case OPERATOR_VALIDATE_BYTE_RANGE:
		return byte_range_parse(op->bytes, op->parameter, err);
	case OPERATOR_DETECT_SQLI:
	case OPERATOR_DETECT_XSS:
		op->libinjection = options->libinjection;
		return need(op->libinjection, "libinjection is not loaded", err);
	case OPERATOR_GEO_LOOKUP:
		op->geo = options->geo;
		return need(op->geo, "there is no database of addresses (SecGeoLookupDb)", err);
	case OPERATOR_VALIDATE_DTD:
	case OPERATOR_VALIDATE_SCHEMA: return compile_xml(op, options, err);
	case OPERATOR_EQ: op->number = operator_to_int(op->parameter); return 0;
	case OPERATOR_GE:
	case OPERATOR_GT:
	case OPERATOR_LE:
	case OPERATOR_LT: op->number = operator_to_i64(op->parameter); return 0;
	case OPERATOR_BEGINS_WITH:
	case OPERATOR_ENDS_WITH:
	case OPERATOR_CONTAINS:
	case OPERATOR_CONTAINS_WORD:
	case OPERATOR_STREQ:
	case OPERATOR_STRMATCH:
	case OPERATOR_WITHIN:
	case OPERATOR_VALIDATE_URL_ENCODING:
	case OPERATOR_VALIDATE_UTF8_ENCODING:
	case OPERATOR_UNCONDITIONAL_MATCH:
	case OPERATOR_NO_MATCH:
	case OPERATOR_GSB_LOOKUP:
	case OPERATOR_RSUB:
	case OPERATOR_VALIDATE_HASH:
	case OPERATOR_COUNT: break;
	}
	return 0;
}

struct operator* operator_new(const struct operator_text *text,
			      const struct operator_options *options, struct err *err)
{
	const struct operator_info *info = &infos[text->kind];
	struct operator* op;
	char *parameter;

	if (info->refused) {
		err_set(err, ERR_INVALID, "@%s is not supported: %s", info->name,
			info->refused);
		return NULL;
	}
	if (options->dynamic && !info->takes_macros) {
		err_set(err, ERR_INVALID, "@%s takes no macros", info->name);
		return NULL;
	}
	op = mem_zalloc(1, sizeof(*op));
	parameter = mem_strdup(text->parameter);
	if (!op || !parameter) {
		mem_free(op);
		mem_free(parameter);
		err_set(err, ERR_MEMORY, "out of memory for an operator");
		return NULL;
	}
	op->kind = text->kind;
	op->negated = text->negated;
	op->dynamic = options->dynamic;
	op->parameter = span_of(parameter, text->parameter.len);
	cidr_set_init(&op->addresses);
	if (!op->dynamic && compile(op, options, err) < 0) {
		err_wrap(err, "@%s", info->name);
		operator_free(op);
		return NULL;
	}
	return op;
}

void operator_free(struct operator* op)
{
	if (!op)
		return;
	regex_free(op->pattern);
	phrases_free(op->phrases);
	xml_validator_free(op->xml);
	fuzzy_hashes_free(op->hashes);
	cidr_set_release(&op->addresses);
	mem_free((char *)(uintptr_t)op->parameter.ptr); /* it was ours to begin with */
	mem_free(op);
}

enum operator_kind operator_kind_of(const struct operator* op)
{
	return op->kind;
}

bool operator_negated(const struct operator* op)
{
	return op->negated;
}

struct span operator_parameter(const struct operator* op)
{
	return op->parameter;
}

uint32_t operator_program(const struct operator* op)
{
	return op->program;
}

const struct span *operator_phrase(const struct operator* op, size_t index)
{
	return op->phrases ? phrases_at(op->phrases, index) : NULL;
}

/* ---- matching ---------------------------------------------------------------------------------- */

/* An empty needle is found at once, as by std::string::find. */
static bool contains(struct span hay, struct span needle, struct span *piece)
{
	size_t at = needle.len == 0 ? 0 : span_find(hay, needle);

	if (needle.len > 0 && at == hay.len)
		return false;
	*piece = span_slice(hay, at, at + needle.len);
	return true;
}

static bool begins_with(struct span value, struct span parameter, struct span *piece)
{
	*piece = span_slice(value, 0, parameter.len);
	return span_starts_with(value, parameter);
}

static bool ends_with(struct span value, struct span parameter, struct span *piece)
{
	if (!span_ends_with(value, parameter))
		return false;
	*piece = span_slice(value, value.len - parameter.len, value.len);
	return true;
}

static bool is_address_in(const struct cidr_set *set, struct span value)
{
	struct address address;

	/* libmodsecurity reads the value as a C string. */
	value = span_slice(value, 0, span_find_byte(value, '\0'));
	return address_parse(value, &address) && cidr_set_contains(set, &address);
}

static void capture(struct operator_match *match, struct span text)
{
	match->captures[0] = (struct operator_capture){0, text};
	match->capture_count = 1;
}

static bool detect_sqli(const struct operator* op, struct span value,
			struct operator_match *match)
{
	char own[LIBINJECTION_FINGERPRINT_SIZE] = "";
	char *fingerprint = match ? match->fingerprint : own;

	if (!libinjection_detect_sqli(op->libinjection, value, fingerprint))
		return false;
	if (match)
		capture(match, span_of(fingerprint, strnlen(fingerprint, sizeof(own))));
	return true;
}

static bool match_phrases(const struct operator* op, struct span value,
			  struct operator_match *match, struct span *piece)
{
	struct span text;

	if (!phrases_match(op->phrases, value, piece, &text))
		return false;
	if (match)
		capture(match, text);
	return true;
}

static bool compare(const struct operator* op, struct span parameter, struct span value)
{
	int64_t right = op->dynamic ? operator_to_i64(parameter) : op->number;
	int64_t left = operator_to_i64(value);

	if (op->kind == OPERATOR_GE)
		return left >= right;
	if (op->kind == OPERATOR_GT)
		return left > right;
	return op->kind == OPERATOR_LE ? left <= right : left < right;
}

static bool equals(const struct operator* op, struct span parameter, struct span value)
{
	int64_t right = op->dynamic ? operator_to_int(parameter) : op->number;

	return operator_to_int(value) == right;
}

static bool evaluate(const struct operator* op, struct regex_scratch *scratch,
		     struct span parameter, struct span value, struct operator_match *match,
		     struct span *piece)
{
	switch (op->kind) {
	case OPERATOR_RX: return operator_match_rx(op, scratch, parameter, value, match);
	case OPERATOR_RX_GLOBAL:
		return operator_match_rx_global(op, scratch, parameter, value, match);
	case OPERATOR_PM:
	case OPERATOR_PM_FROM_FILE: return match_phrases(op, value, match, piece);
	case OPERATOR_BEGINS_WITH: return begins_with(value, parameter, piece);
	case OPERATOR_ENDS_WITH: return ends_with(value, parameter, piece);
	case OPERATOR_CONTAINS:
	case OPERATOR_STRMATCH: return contains(value, parameter, piece);
	case OPERATOR_CONTAINS_WORD: return check_contains_word(value, parameter, piece);
	case OPERATOR_STREQ: return span_eq(value, parameter);
	case OPERATOR_WITHIN: {
		struct span where;

		return contains(parameter, value, &where);
	}
	case OPERATOR_EQ: return equals(op, parameter, value);
	case OPERATOR_GE:
	case OPERATOR_GT:
	case OPERATOR_LE:
	case OPERATOR_LT: return compare(op, parameter, value);
	case OPERATOR_IP_MATCH:
	case OPERATOR_IP_MATCH_FROM_FILE: return is_address_in(&op->addresses, value);
	case OPERATOR_DETECT_SQLI: return detect_sqli(op, value, match);
	case OPERATOR_DETECT_XSS:
		if (!libinjection_detect_xss(op->libinjection, value))
			return false;
		if (match)
			capture(match, value);
		return true;
	case OPERATOR_VALIDATE_BYTE_RANGE: return check_byte_range(op->bytes, value, piece);
	case OPERATOR_VALIDATE_URL_ENCODING: return check_url_encoding(value, piece);
	case OPERATOR_VALIDATE_UTF8_ENCODING: return check_utf8_encoding(value, piece);
	case OPERATOR_VERIFY_CC:
	case OPERATOR_VERIFY_CPF:
	case OPERATOR_VERIFY_SSN:
	case OPERATOR_VERIFY_SVNR: return operator_match_verify(op, scratch, value, match);
	case OPERATOR_GEO_LOOKUP: return geo_lookup(op->geo, value, NULL);
	case OPERATOR_FUZZY_HASH: return fuzzy_hashes_match(op->hashes, value);
	case OPERATOR_UNCONDITIONAL_MATCH: return true;
	case OPERATOR_NO_MATCH:
	case OPERATOR_RBL:
	case OPERATOR_INSPECT_FILE:
	case OPERATOR_GSB_LOOKUP:
	case OPERATOR_RSUB:
	case OPERATOR_VALIDATE_DTD:
	case OPERATOR_VALIDATE_SCHEMA:
	case OPERATOR_VALIDATE_HASH:
	case OPERATOR_COUNT: break;
	}
	return false;
}

bool operator_match(const struct operator* op, struct regex_scratch *scratch,
		    struct span parameter, struct span value, struct operator_match *match)
{
	struct span own_piece = value;
	bool matched;

	if (match) {
		match->capture_count = 0;
		match->error = OPERATOR_OK;
		match->piece = value;
	}
	if (!op->dynamic)
		parameter = op->parameter;
	matched = evaluate(op, scratch, parameter, value, match,
			   match ? &match->piece : &own_piece);
	if (!matched && match)
		match->piece = value;
	return matched != op->negated;
}

bool operator_match_xml(const struct operator* op, const struct body_xml *xml)
{
	return xml_validator_passes(op->xml, xml) == op->negated;
}
