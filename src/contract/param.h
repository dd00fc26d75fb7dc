/*
 * param.h - values of parameters and of fields of forms, written in the styles of OpenAPI (3.0.3
 * section 4.7.12.2, RFC 6570), fed to a run of their schema. What a text means follows from the types
 * that the schema allows: "1,2" is one string, or two numbers.
 *
 * Delimiters are looked for before percent-encoding is undone, so that an encoded one is part of a
 * value. An empty list has no text in any style, so an empty text is a list of one empty item.
 */
#ifndef CONTRACT_PARAM_H
#define CONTRACT_PARAM_H

#include "contract/openapi.h"
#include "contract/pairs.h"

enum param_result {
	PARAM_CHECKED, /* the run was fed, and reader->outcome is its result */
	PARAM_ABSENT,
	PARAM_EMPTY, /* empty, and may be */
	PARAM_ESCAPE, /* percent-encoding, or a key that is not UTF-8 */
	PARAM_STYLE, /* not the form of the style: a key without a value ... */
	PARAM_DUPLICATE, /* there twice, and is not a list */
	PARAM_MEMORY,
};

struct param_reader {
	struct schema_run *run;
	struct buf *scratch; /* with a maximum above the length of any value */
	enum schema_unknown unknown;
	enum schema_result outcome;
	/* Of the value that is being read. */
	bool percent; /* percent-encoding is to be undone */
	bool plus; /* '+' is a space */
	enum param_result fault;
};

/* A parameter in the path or a header field; `raw` ptr NULL: it is not there. */
enum param_result param_read_text(struct param_reader *r, const struct openapi_parameter *p,
				  struct span raw);
/*
 * A parameter in the query or a cookie, from all pairs; marks those that it takes as used. An
 * exploded object takes the unused pairs that its schema names: read such parameters last.
 */
enum param_result param_read_pairs(struct param_reader *r, const struct openapi_parameter *p,
				   struct pairs *pairs);
/* True for parameters that have no name of their own in a query. */
bool param_is_spread(const struct openapi_parameter *p);

/*
 * The value of a field of a form that begins at pairs->at[index], fed to a run that waits for a
 * value; takes all pairs of the field. PARAM_CHECKED when it was fed.
 */
enum param_result param_feed_field(struct param_reader *r, const struct openapi_field *field,
				   struct pairs *pairs, size_t index);
/* Undoes percent-encoding, by way of the scratch buffer. False: reader->fault says why. */
bool param_decode(struct param_reader *r, struct span *raw);
/* One value as text: decoded and fed. */
enum param_result param_feed_text(struct param_reader *r, struct span raw);
/* A key; PARAM_CHECKED or PARAM_ESCAPE. */
enum param_result param_feed_key(struct param_reader *r, struct span raw);

#endif
