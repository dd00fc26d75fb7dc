/* lint_internal.h - what the parts of lint share. Used by lint*.c only. */
#ifndef CONTRACT_LINT_INTERNAL_H
#define CONTRACT_LINT_INTERNAL_H

#include "contract/lint.h"
#include "contract/openapi.h"

/* How deep a schema is followed: deeper, an attacker's document is at work. */
#define LINT_DEPTH_MAX 64

struct lint {
	struct contract *contract;
	struct finding_list *findings;
	struct map seen; /* schemas that were looked at, by address */
	struct arena arena; /* keys of `seen` */
	bool no_memory;
};

struct lint_rule {
	const char *id;
	enum finding_severity severity;
	const char *message;
	const char *advice;
};

void lint_add(struct lint *l, const struct lint_rule *rule, const struct json *node,
	      struct span subject);
/* As lint_add, with a message of its own. */
void lint_add_message(struct lint *l, const struct lint_rule *rule, struct span message,
		      const struct json *node, struct span subject);
/* Bounds of what a request may hold. */
void lint_request_schema(struct lint *l, const struct json *schema, struct span subject);
/* `$ref`s followed; NULL when they lead nowhere that can be told. */
const struct json *lint_follow(struct lint *l, const struct json *node);
/* All of the document: fields, examples. */
void lint_fields(struct lint *l, const struct document *document);
void lint_examples(struct lint *l, const struct document *document);

#endif
