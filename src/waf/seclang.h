/*
 * seclang.h - reads SecLang into a document: rules in the order of the files, with their actions
 * taken apart and checked, and what directives set. Nothing is compiled here, and nothing that is
 * not understood is passed over: each directive is handled, ignored for a reason that is kept, or
 * refused with "FILE:LINE: why". docs/waf.md has the list.
 *
 * Everything lies in the document's arena and lives as long as it.
 */
#ifndef WAF_SECLANG_H
#define WAF_SECLANG_H

#include "base/arena.h"
#include "base/err.h"
#include "waf/operator.h"
#include "waf/transform.h"
#include "waf/variable.h"
#include "waf/waf.h"

struct sec_place {
	struct span file;
	uint32_t line; /* where the directive starts */
};

enum sec_select {
	SEC_ALL, /* ARGS */
	SEC_KEY, /* ARGS:name, compared without case */
	SEC_PATTERN, /* ARGS:/pattern/, without case */
	SEC_XPATH, /* XML:expression */
};

struct sec_target {
	enum variable variable;
	enum sec_select select;
	struct span key;
	bool count; /* &ARGS */
	bool exclude; /* !ARGS:name */
};

struct sec_targets {
	struct sec_target *at;
	size_t count;
};

enum sec_disruptive {
	SEC_NOT_DISRUPTIVE,
	SEC_PASS,
	SEC_BLOCK, /* what SecDefaultAction of the phase says */
	SEC_DENY,
	SEC_DROP,
	SEC_REDIRECT,
	SEC_ALLOW, /* all that follows */
	SEC_ALLOW_PHASE,
	SEC_ALLOW_REQUEST,
};

enum sec_operation { SEC_SET, SEC_ADD, SEC_SUBTRACT, SEC_UNSET };

/* setvar, expirevar: names and values may have macros. */
struct sec_setvar {
	enum variable variable; /* TX or one of the stored collections */
	struct span name;
	enum sec_operation operation;
	struct span value;
};

enum sec_step_kind {
	SEC_CTL_RULE_ENGINE, /* value 0 off, 1 on, 2 detection only */
	SEC_CTL_BODY_PROCESSOR, /* text: "JSON" and so on */
	SEC_CTL_REQUEST_BODY_ACCESS, /* value */
	SEC_CTL_RESPONSE_BODY_ACCESS, /* value */
	SEC_CTL_REQUEST_BODY_LIMIT, /* value, bytes */
	SEC_CTL_RESPONSE_BODY_LIMIT, /* value, bytes */
	SEC_CTL_REMOVE_BY_ID, /* first to last */
	SEC_CTL_REMOVE_BY_TAG, /* text */
	SEC_CTL_REMOVE_BY_MSG, /* text */
	SEC_CTL_REMOVE_BY_SOURCE, /* text: the file; only by policies */
	SEC_CTL_REMOVE_TARGET_BY_ID, /* first to last, target */
	SEC_CTL_REMOVE_TARGET_BY_TAG, /* text, target */
	SEC_CTL_REMOVE_TARGET_BY_MSG, /* text, target */
	SEC_INITCOL, /* target.variable, text with macros */
	SEC_EXPIREVAR, /* target.variable, target.key with macros, text: seconds with macros */
	SEC_SETSID, /* text with macros */
	SEC_SETUID,
	SEC_SETRSC,
	SEC_SETENV, /* target.key: the name, text with macros, value: SEC_SET or SEC_UNSET */
	SEC_EXEC, /* text: the program */
};

/* What a rule does besides once it has matched. */
struct sec_step {
	enum sec_step_kind kind;
	uint64_t value;
	uint32_t first;
	uint32_t last;
	struct span text;
	struct sec_target target;
};

struct sec_xmlns {
	struct span prefix;
	struct span href;
};

#define SEC_TRANSFORMS_MAX 24

struct sec_actions {
	uint32_t id; /* 0: none */
	unsigned phase; /* 0: none given */
	bool chain;
	bool capture;
	bool multi_match;
	bool log_given;
	bool log;
	bool no_inherit; /* t:none: transformations of SecDefaultAction do not apply */
	enum transform transforms[SEC_TRANSFORMS_MAX]; /* after the last t:none */
	size_t transform_count;
	enum sec_disruptive disruptive;
	struct span redirect; /* with macros */
	unsigned status; /* 0: none given */
	uint32_t skip;
	struct span skip_after;
	struct span msg; /* ptr NULL: none given */
	struct span logdata;
	struct span rev;
	struct span ver;
	int severity; /* -1: none given */
	struct span *tags;
	size_t tag_count;
	struct sec_setvar *setvars;
	size_t setvar_count;
	struct sec_step *steps;
	size_t step_count;
	struct sec_xmlns *xmlns;
	size_t xmlns_count;
};

enum sec_kind { SEC_RULE, SEC_ACTION, SEC_MARKER };

struct sec_rule {
	struct sec_rule *next; /* in the order of the files */
	struct sec_rule *link; /* the next of the chain; not in the list by itself */
	enum sec_kind kind;
	bool observe; /* reports, and never blocks */
	struct sec_place place;
	struct sec_targets targets;
	struct operator_text operator_text;
	struct sec_actions actions;
	struct span marker;
};

/* SecRuleRemove..., SecRuleUpdate...: apply to all rules, wherever they stand. */
enum sec_change_kind {
	SEC_REMOVE,
	SEC_UPDATE_TARGETS,
	SEC_UPDATE_ACTIONS,
};

enum sec_criterion { SEC_BY_ID, SEC_BY_TAG, SEC_BY_MSG };

struct sec_change {
	struct sec_change *next;
	struct sec_place place;
	enum sec_change_kind kind;
	enum sec_criterion criterion;
	uint32_t first;
	uint32_t last;
	struct span text; /* of the tag or message */
	struct sec_targets targets;
	struct sec_actions actions;
};

enum sec_engine { SEC_ENGINE_OFF, SEC_ENGINE_ON, SEC_ENGINE_DETECT };

struct sec_settings {
	enum sec_engine engine;
	bool request_body;
	bool response_body;
	bool reject_large_request; /* SecRequestBodyLimitAction Reject */
	bool reject_large_response;
	bool keep_files; /* contents of uploads are looked at */
	char argument_separator;
	uint64_t request_body_limit; /* 0: none given */
	uint64_t request_no_files_limit;
	uint64_t response_body_limit;
	uint32_t json_depth;
	uint32_t arguments;
	uint32_t upload_files;
	uint32_t collection_timeout_s;
	struct span web_app_id;
	struct span httpbl_key;
	struct span geo_database; /* path */
	struct span unicode_map; /* path */
	unsigned unicode_code_page;
	struct span *mime_types; /* of responses to look at; none: all */
	size_t mime_type_count;
};

struct sec_ignored {
	struct sec_ignored *next;
	struct span text; /* "FILE:LINE: SecX: why" */
};

#define SEC_PHASES 5

struct sec_document {
	struct arena arena;
	struct sec_rule *rules;
	struct sec_rule **rules_end;
	struct sec_rule *open_chain; /* the last link that says chain, while reading */
	struct sec_change *changes;
	struct sec_change **changes_end;
	struct sec_actions defaults[SEC_PHASES + 1]; /* by phase, from 1 */
	bool has_defaults[SEC_PHASES + 1];
	struct sec_settings settings;
	struct sec_ignored *ignored;
	struct sec_ignored **ignored_end;
	size_t file_count;
	size_t rule_count;
	unsigned include_depth;
	bool observe; /* of the rules that are being read */
	enum waf_dialect dialect;
};

/* Documents with more text than this in all are refused. */
#define SEC_TEXT_MAX ((size_t)64 << 20)
#define SEC_INCLUDE_MAX 16

void sec_document_init(struct sec_document *document, enum waf_dialect dialect);
void sec_document_release(struct sec_document *document);
/* Reads a file and what it includes; 0, or -1 and err says where and what. */
int sec_read_file(struct sec_document *document, struct span path, struct err *err);
/* Reads text; `name` stands for the file in messages, relative paths start at the working
 * directory. */
int sec_read_text(struct sec_document *document, struct span name, struct span text,
		  struct err *err);
/* At the end of all: a chain that nothing follows is an error. */
int sec_finish(struct sec_document *document, struct err *err);
/* `name` relative to the file that names it, with a NUL behind it; ptr NULL without memory. */
struct span sec_resolve_path(struct arena *arena, struct span file, struct span name);
/* The bytes of a file into the arena; -1 and err. */
int sec_load_file(struct arena *arena, struct span path, struct span *content, struct err *err);

/* ---- parts, for the modules beside this one --------------------------------------------------- */

/* "ARGS|!ARGS:x|&TX:y". */
int sec_targets_parse(struct arena *arena, struct span text, struct sec_targets *targets,
		      struct err *err);
/* "id:1,phase:2,...". What it does not name stays as it is in `actions`. */
int sec_actions_parse(struct arena *arena, struct span text, struct sec_actions *actions,
		      struct err *err);
void sec_actions_init(struct sec_actions *actions);
/* One directive with its arguments, quotes removed. */
int sec_directive(struct sec_document *document, struct sec_place place, struct span name,
		  const struct span *arguments, size_t count, struct err *err);
/* "942100" or "942100-942200". */
bool sec_id_range(struct span text, uint32_t *first, uint32_t *last);

#endif
