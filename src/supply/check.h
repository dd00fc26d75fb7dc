/*
 * check.h - misconfigurations: a file becomes a tree with lines, and rules written as jq expressions
 * say which of its nodes are wrong. Rules are YAML, ours (src/supply/rules) and the user's:
 *
 *	- id: dockerfile-sudo
 *	  kind: dockerfile          # see enum check_kind
 *	  severity: medium          # info, low, medium, high, critical
 *	  what: sudo in a RUN instruction
 *	  why: Builds run as root already; ...
 *	  fix: Remove sudo.
 *	  references: [CIS-DI-0001]
 *	  jq: '.instructions[] | select(.name == "RUN" and (.value | test("\\bsudo\\b")))'
 *	  bad: "FROM a\nRUN sudo id\n"     # must be found; text or a list of texts
 *	  good: "FROM a\nRUN id\n"         # must not
 *
 * Each output of the expression is a finding, at the line of the output: of a map its own ("@line"),
 * of anything else the document's. An output {"message": ...} may carry its own sentence. Maps have
 * their line as the key "@line" in all documents.
 */
#ifndef SUPPLY_CHECK_H
#define SUPPLY_CHECK_H

#include "base/buf.h"
#include "base/finding.h"
#include "parse/node.h"
#include "supply/leak.h"

enum check_kind {
	CHECK_NONE, /* a file of which nothing is known */
	CHECK_DOCKERFILE,
	CHECK_KUBERNETES,
	CHECK_COMPOSE,
	CHECK_GITHUB, /* workflows */
	CHECK_GITLAB,
	CHECK_IMAGE, /* the configuration of a container image */
	CHECK_OPENAPI, /* and Swagger 2.0 */
	CHECK_NGINX,
	CHECK_SSHD, /* sshd_config */
	CHECK_SHELL, /* scripts */
	CHECK_SECRET, /* any text; such rules are described in leak.h */
};
#define CHECK_KINDS 12

struct check_rule {
	struct span id;
	enum check_kind kind;
	enum finding_severity severity;
	struct span what;
	struct span why;
	struct span fix;
	struct span link; /* the first of its references that is an address */
	struct span standards; /* the others, between ", " */
	struct span jq;
	const struct node *bad; /* a string, a list of strings, or NULL */
	const struct node *good;
	uint32_t line; /* in the file of rules */
	/* Of rules for secrets, which have no jq. */
	struct span pattern;
	const struct node *keywords;
	const struct node *files; /* NULL: of any name */
	unsigned entropy_tenths;
	enum leak_verify verify;
	bool lines;
	bool generic;
};

struct checker;

/*
 * With the rules of this program; NULL with *err (ERR_MEMORY). Compiling those of a kind is put off
 * until the first file of it.
 */
struct checker *checker_new(struct err *err) MUST_CHECK;
void checker_free(struct checker *c);
/*
 * Adds rules from YAML text, which is copied; `name` is for messages. -1: ERR_SYNTAX, ERR_INVALID
 * with rule and line. Not after the first check_file.
 */
int checker_add_rules(struct checker *c, struct span name, struct span text,
		      struct err *err) MUST_CHECK;
/*
 * Compiles what the rules from the index on need, so that mistakes in them are told though no file
 * is of their kind. -1: ERR_INVALID with the rule, ERR_MEMORY.
 */
int checker_compile(struct checker *c, size_t first, struct err *err) MUST_CHECK;
size_t checker_rule_count(const struct checker *c);
const struct check_rule *checker_rule(const struct checker *c, size_t index);

/* What a file is, by its path and the beginning of its text. */
enum check_kind check_kind_of(struct span path, struct span text);
/* By the path alone: could it be of interest, so that it is worth reading? */
bool check_wants(struct span path);
/* "dockerfile", ... */
const char *check_kind_name(enum check_kind kind);

/*
 * Adds what the rules find in a file. -1: ERR_SYNTAX when the file cannot be read as what it is,
 * ERR_INVALID when a rule does not compile, ERR_MEMORY; the caller goes on with other files.
 */
int check_file(struct checker *c, enum check_kind kind, struct span path, struct span text,
	       struct finding_list *findings, struct err *err) MUST_CHECK;

/*
 * Adds the secrets in a text. As check_file; ERR_LIMIT when a rule gave up, and what was found is
 * in the list.
 */
int check_secrets(struct checker *c, const struct leak_text *text,
		  struct finding_list *findings, struct err *err) MUST_CHECK;

/*
 * Runs the examples of a rule: 0 when each bad one is found and no good one is. -1 with which one
 * is not as it should be.
 */
int check_examples(struct checker *c, size_t rule, struct err *err) MUST_CHECK;

#endif
