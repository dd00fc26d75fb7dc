/*
 * contract_check.h - the state of a check, and what its parts share. Used by contract_*.c only.
 */
#ifndef CONTRACT_CONTRACT_CHECK_H
#define CONTRACT_CONTRACT_CHECK_H

#include "contract/multipart.h"
#include "contract/openapi.h"
#include "contract/pairs.h"
#include "contract/param.h"
#include "contract/xml_check.h"

/* A part of multipart content; what is small is kept until the end. */
struct check_part {
	size_t name, name_len; /* in check->kept; or the position */
	size_t type, type_len;
	size_t text, text_len;
	uint64_t bytes; /* all of it */
	uint64_t start, end; /* in the content, delimiter line included */
	const struct openapi_field *field; /* NULL: not in the contract */
	bool is_file;
	bool held; /* text is all of it */
	bool used;
	bool cut;
	bool squeezed; /* something was cut out of the text */
};

struct contract_check {
	struct contract_check_limits limits;
	struct schema_run *run;
	struct schema_run *inner; /* for JSON within forms; made when first needed */
	struct pairs query;
	struct pairs cookies;
	struct pairs form;
	struct buf scratch; /* decoded values */
	struct buf kept; /* content that must be held to be checked */
	struct multipart multipart;
	struct check_part *parts;
	size_t part_count;
	struct xml_check *xml; /* made when first needed */
	struct json_tokens tokens; /* of JSON within forms */
	struct buf token_scratch;

	struct arena text; /* of problems */
	struct contract_problem *problems;
	size_t problem_count;

	/* Of the check under way. */
	enum contract_result result; /* CONTRACT_MORE until it is final */
	const struct contract *contract;
	struct contract_policy policy;
	bool is_response;
	bool content_expected; /* some content will be checked */
	bool content_required;
	const struct openapi_media *media;
	enum openapi_kind kind;
	uint64_t max_body_bytes;
	uint64_t received;
	bool json_ended; /* the run has a final result before the content's end */
	size_t line_count; /* of JSON lines and events */
	bool in_line;
	bool after_return; /* events: the last byte was CR */
};

/* Problems are dropped, but counted as a failure, when there are too many or no memory is left. */
void check_problem(struct contract_check *c, enum contract_where where, struct span name,
		   struct span keyword, struct span detail);
/* Bytes of the body, or of a part, of which there are too few or too many. */
void check_length_problem(struct contract_check *c, struct span name,
			  const struct schema *schema, const char *keyword, size_t bytes);
/* What the run found, with its own places. */
void check_run_problems(struct contract_check *c, enum contract_where where, struct span name,
			enum schema_result outcome, uint64_t offset);
/* Makes a result final; the first one stays. */
/* A new allowance of time for patterns. */
void check_limit_patterns(struct contract_check *c);
enum contract_result check_end(struct contract_check *c, enum contract_result result);
enum schema_unknown check_unknown(const struct contract_check *c);

/* -- contract_params.c -- */
void check_parameters(struct contract_check *c, const struct openapi_operation *o,
		      const struct contract_route *route,
		      const struct contract_request *request);
/* For one parameter: what reads it, and what becomes of the result. */
struct param_reader check_reader(struct contract_check *c);
void check_take(struct contract_check *c, enum contract_where where,
		const struct openapi_parameter *p, enum param_result result,
		const struct param_reader *reader);
void check_headers(struct contract_check *c, const struct openapi_parameter *headers,
		   size_t count, const struct http_field *fields, size_t field_count);

/* -- contract_body.c -- */
/* Chooses the media type; `content` may be empty. */
void check_begin_content(struct contract_check *c, const struct openapi_content *content,
			 const struct http_field *fields, size_t field_count);
/* -- contract_form.c -- */
/* Feeds an object of all pairs to the run, which waits for a value; cuts or leaves the unknown. */
void check_feed_pairs(struct contract_check *c, const struct openapi_media *media,
		      struct pairs *pairs, enum contract_where where,
		      enum contract_unknown unknown);
void check_finish_form(struct contract_check *c);
enum contract_result check_feed_multipart(struct contract_check *c, struct span piece);
void check_finish_multipart(struct contract_check *c);
/* -- contract_cut.c: takes unknown properties out of JSON, where they are to be stripped -- */
/* Of a pair of kept content, and of its decoded value. */
void check_cut_pair(struct contract_check *c, const struct openapi_field *field,
		    struct pair *pair, struct span *decoded);
/* Of a part that is held; `item`: it is one of a list. */
void check_cut_part(struct contract_check *c, struct check_part *part, bool item);
/* -- contract_stream.c -- */
enum contract_result check_feed_stream(struct contract_check *c, struct span piece);
void check_finish_stream(struct contract_check *c);

#endif
