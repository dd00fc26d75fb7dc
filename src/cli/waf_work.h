/* waf_work.h - what the commands `waf ...` share: the rules they work with, and their output. */
#ifndef CLI_WAF_WORK_H
#define CLI_WAF_WORK_H

#include "cli/admin_work.h"
#include "gateway/patches.h"
#include "waf/waf.h"

#define WAF_INPUT_MAX ((size_t)256 << 20)

struct waf_work {
	const struct options *given;
	struct config *cfg; /* NULL: the rules come from --rules */
	struct arena arena;
	struct waf_rules *rules;
	struct patches patches; /* of the configuration; part of the rules */
	struct buf out;
	bool json;
};

/*
 * The rules of the configuration, or those that --rules names, into w->rules; `check_only` compiles
 * no databases. 0, or -1 with *err.
 */
int waf_work_load(struct waf_work *w, bool check_only, struct err *err) MUST_CHECK;
/* Only those of the configuration. */
int waf_work_load_configured(struct waf_work *w, bool check_only, struct err *err) MUST_CHECK;
/*
 * Runs a command: prints what it has left in w->out, or the error, and cleans up. `formatted`: the
 * command has --format.
 */
enum exit_status waf_work_run(const struct options *given, bool formatted,
			      enum exit_status (*work)(struct waf_work *w, struct err *err));

extern const char *const waf_work_formats[];

#define WAF_RULES_OPTIONS                                                                      \
	OPTION_CONFIG,                                                                         \
		{.name = "rules",                                                              \
		 .kind = OPTION_TEXT,                                                          \
		 .argument = "RULES",                                                          \
		 .help = "owasp-crs, a file or a folder, in place of the configuration's."},   \
		{.name = "paranoia",                                                           \
		 .kind = OPTION_NUMBER,                                                        \
		 .argument = "LEVEL",                                                          \
		 .help = "1 to 4; 0 leaves it to the rules. With --rules.",                    \
		 .initial = "0"},                                                              \
	{                                                                                      \
		.name = "format", .kind = OPTION_CHOICE, .argument = "FORM",                   \
		.help = "How to print the result: text or json.", .initial = "text",           \
		.choices = waf_work_formats                                                    \
	}

#endif
