/*
 * xml_valid.h - XML Schemas and DTDs that bodies are held against (@validateSchema, @validateDTD). They
 * are read once, with the rules: no file is opened and nothing is fetched while a request is held, and
 * what a body says of where its schema is does not count.
 */
#ifndef WAF_XML_VALIDATOR_H
#define WAF_XML_VALIDATOR_H

#include "base/compiler.h"
#include "base/err.h"
#include "waf/body.h"

enum xml_validator_kind { XML_VALIDATOR_SCHEMA, XML_VALIDATOR_DTD };

struct xml_validator;

/* NULL with what is wrong with the file, and where. Other files that it includes are read, too. */
struct xml_validator *xml_validator_new(enum xml_validator_kind kind, const char *path,
					struct err *err) MUST_CHECK;
/* NULL is allowed. */
void xml_validator_free(struct xml_validator *check);
/*
 * Whether the body is as it should be: not without a tree (NULL), when it is not well formed, or when
 * memory runs out. Any thread.
 */
bool xml_validator_passes(const struct xml_validator *check, const struct body_xml *xml);

#endif
