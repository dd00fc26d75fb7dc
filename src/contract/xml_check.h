/*
 * xml_check.h - is a text well-formed XML 1.0 with namespaces? By libxml2's push parser with no
 * more than counters behind it: no tree is built. Refused are document types (and with them all
 * entities but the five of the language), encodings other than UTF-8, and more than the limits
 * allow. Nothing is ever read from files or a network.
 *
 * libxml2 allocates while it parses, with its own bounds on names, values and look-ahead.
 */
#ifndef CONTRACT_XML_CHECK_H
#define CONTRACT_XML_CHECK_H

#include "base/err.h"
#include "base/span.h"

struct xml_limits {
	unsigned max_depth;
	unsigned max_attributes; /* of one element */
	size_t max_elements;
};

/* 64 levels, 256 attributes, 100,000 elements. */
#define XML_LIMITS_DEFAULT                                                                     \
	((struct xml_limits){.max_depth = 64, .max_attributes = 256, .max_elements = 100000})

enum xml_result {
	XML_MORE, /* nothing is wrong so far */
	XML_OK,
	XML_MALFORMED,
	XML_DOCTYPE, /* a document type declaration */
	XML_ENCODING, /* declared, and not UTF-8 */
	XML_LIMIT,
	XML_MEMORY,
};

struct xml_check;

/* limits NULL: the default. NULL with ERR_MEMORY. */
struct xml_check *xml_check_new(const struct xml_limits *limits, struct err *err) MUST_CHECK;
void xml_check_free(struct xml_check *check);
/* Begins a text. False when there is no memory. */
bool xml_check_start(struct xml_check *check) MUST_CHECK;
/* XML_MORE, or a final result, which comes again. */
enum xml_result xml_check_feed(struct xml_check *check, struct span piece);
enum xml_result xml_check_finish(struct xml_check *check);
const char *xml_result_text(enum xml_result result);

#endif
