/* cmd_waiver.c - waiver create, sign, verify, list, key. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/problems.h"
#include "parse/json_write.h"
#include "supply/waiver.h"

#define FILE_MAX_BYTES ((size_t)16 << 20)

static int read_file(const char *path, struct buf *to, struct err *err)
{
	return config_source_unchecked.read_file(NULL, path, FILE_MAX_BYTES, to, err);
}

static struct span text_of(const struct options *given, const char *option)
{
	const char *text = options_text(given, option);

	return text ? span_cstr(text) : SPAN_NONE;
}

/* ---- create ---------------------------------------------------------------------------------- */

/* The file with the waiver added, if it can be read as before. */
static enum exit_status append(const struct options *given, const struct waiver *w)
{
	const char *path = options_operand(given, 0);
	struct config_problems problems = {0};
	struct waiver_list list = {0};
	enum exit_status status = EXIT_STATUS_FAILED;
	struct err err = {0};
	struct buf text;

	buf_init(&text, FILE_MAX_BYTES + 8192);
	if (access(path, F_OK) == 0 && read_file(path, &text, &err) < 0) {
		output_error(given, &err);
		goto out;
	}
	if (text.len && text.ptr[text.len - 1] != '\n')
		buf_append_byte(&text, '\n');
	waiver_write(w, &text);
	if (waiver_list_load_text(&list, buf_span(&text), path, &problems) < 0) {
		problems_print(given, &problems);
	} else if (output_file(path, &text, &err) < 0) {
		output_error(given, &err);
	} else {
		fprintf(stderr,
			"%s: added; it counts when a champion has signed it (sallyport waiver "
			"sign)\n",
			path);
		status = EXIT_STATUS_OK;
	}
out:
	waiver_list_release(&list);
	buf_release(&text);
	return status;
}

static enum exit_status run_create(const struct options *given)
{
	static const char *const needed[] = {"id", "reason", "owner", "expires"};
	struct waiver w = {
		.id = text_of(given, "id"),
		.scope = {.component = text_of(given, "component"),
			  .versions = text_of(given, "versions"),
			  .path = text_of(given, "path"),
			  .service = text_of(given, "service")},
		.reason = text_of(given, "reason"),
		.owner = text_of(given, "owner"),
		.expires = text_of(given, "expires"),
	};

	for (size_t i = 0; i < COUNT_OF(needed); i++)
		if (!options_text(given, needed[i])) {
			struct err err;

			(void)err_set(&err, ERR_INVALID, "--%s is missing", needed[i]);
			output_error(given, &err);
			return EXIT_STATUS_USAGE;
		}
	return append(given, &w);
}

static const struct option_spec create_options[] = {
	{.name = "id",
	 .kind = OPTION_TEXT,
	 .argument = "ID",
	 .help = "Of an advisory (or one of its aliases) or a rule."},
	{.name = "component",
	 .kind = OPTION_TEXT,
	 .argument = "PURL",
	 .help = "Only of this component."},
	{.name = "versions",
	 .kind = OPTION_TEXT,
	 .argument = "RANGE",
	 .help = "Only of these versions of it, such as \"<4.17.21\"."},
	{.name = "path",
	 .kind = OPTION_TEXT,
	 .argument = "PATTERN",
	 .help = "Only in this file or folder."},
	{.name = "service",
	 .kind = OPTION_TEXT,
	 .argument = "NAME",
	 .help = "Only of this service."},
	{.name = "reason", .kind = OPTION_TEXT, .argument = "TEXT", .help = "Why."},
	{.name = "owner",
	 .kind = OPTION_TEXT,
	 .argument = "NAME",
	 .help = "Who answers for it."},
	{.name = "expires",
	 .kind = OPTION_TEXT,
	 .argument = "DAY",
	 .help = "The last day on which it counts, such as 2027-01-31."},
	{.name = NULL},
};

static const struct operand_spec file_operands[] = {
	{.name = "FILE", .help = "The waivers.", .required = true, .is_file = true},
	{.name = NULL},
};

static const struct command_example create_examples[] = {
	{"sallyport waiver create --id CVE-2024-1234 --component pkg:npm/lodash --reason \"not "
	 "reachable\" --owner bob --expires 2027-01-31 waivers.yaml",
	 "Ask for a waiver."},
	{NULL, NULL},
};

const struct command cmd_waiver_create = {
	.name = "waiver create",
	.summary = "add a waiver to a file",
	.description = "Adds a waiver at the end of the file, which is made if it is not "
		       "there. It counts "
		       "when a security champion has signed it.",
	.options = create_options,
	.operands = file_operands,
	.examples = create_examples,
	.run = run_create,
};

/* ---- sign ------------------------------------------------------------------------------------ */

static enum exit_status run_sign(const struct options *given)
{
	const char *path = options_operand(given, 0);
	struct waiver_signer signer = {.champion = text_of(given, "champion"),
				       .key_path = options_text(given, "key"),
				       .id = text_of(given, "id")};
	enum exit_status status = EXIT_STATUS_FAILED;
	struct err err = {0};
	struct buf text, out;
	int count = -1;

	buf_init(&text, FILE_MAX_BYTES + 8192);
	buf_init(&out, FILE_MAX_BYTES + 8192);
	if (!signer.key_path || signer.champion.len == 0)
		(void)err_set(&err, ERR_INVALID, "give --key and --champion");
	else if (read_file(path, &text, &err) == 0)
		count = waiver_sign(buf_span(&text), path, &signer, &out, &err);
	if (count > 0 && output_file(path, &out, &err) < 0)
		count = -1;
	if (count >= 0) {
		printf("%s: %d signed\n", path, count);
		status = EXIT_STATUS_OK;
	} else {
		output_error(given, &err);
	}
	buf_release(&text);
	buf_release(&out);
	return status;
}

static const struct option_spec sign_options[] = {
	{.name = "key",
	 .kind = OPTION_FILE,
	 .argument = "FILE",
	 .help = "The champion's private key: Ed25519, PEM."},
	{.name = "champion",
	 .kind = OPTION_TEXT,
	 .argument = "NAME",
	 .help = "Who signs, as the policy lists them."},
	{.name = "id",
	 .kind = OPTION_TEXT,
	 .argument = "ID",
	 .help = "Only waivers of this id, also those that name another champion; without it, "
		 "all that name this one or none."},
	{.name = NULL},
};

static const struct command_example sign_examples[] = {
	{"sallyport waiver sign --key alice.pem --champion alice waivers.yaml",
	 "Sign what is not signed yet."},
	{NULL, NULL},
};

const struct command cmd_waiver_sign = {
	.name = "waiver sign",
	.summary = "sign waivers as a security champion",
	.description =
		"Writes champion and signature into each waiver that is not signed yet, or was "
		"changed since; the rest of the file stays as it is.",
	.options = sign_options,
	.operands = file_operands,
	.examples = sign_examples,
	.run = run_sign,
};

/* ---- verify and list ------------------------------------------------------------------------- */

static const char *const state_words[] = {
	[WAIVER_GOOD] = "good",		[WAIVER_UNSIGNED] = "unsigned",
	[WAIVER_STRANGER] = "stranger", [WAIVER_ALTERED] = "altered",
	[WAIVER_EXPIRED] = "expired",
};

static void put_json(const struct waiver_list *list, struct buf *to)
{
	struct json_writer w;

	json_writer_init(&w, to);
	json_begin_array(&w);
	for (size_t i = 0; i < list->all.count; i++) {
		const struct waiver *waiver = &list->all.at[i];

		json_begin_object(&w);
		json_member_string(&w, SPAN("id"), waiver->id);
		json_member_string(&w, SPAN("state"), span_cstr(state_words[waiver->state]));
		json_member_string(&w, SPAN("component"), waiver->scope.component);
		json_member_string(&w, SPAN("versions"), waiver->scope.versions);
		json_member_string(&w, SPAN("path"), waiver->scope.path);
		json_member_string(&w, SPAN("service"), waiver->scope.service);
		json_member_string(&w, SPAN("reason"), waiver->reason);
		json_member_string(&w, SPAN("owner"), waiver->owner);
		json_member_string(&w, SPAN("expires"), waiver->expires);
		json_member_string(&w, SPAN("champion"), waiver->champion);
		json_member_int(&w, SPAN("line"), waiver->where.line);
		json_end_object(&w);
	}
	json_end_array(&w);
	buf_append_byte(to, '\n');
}

static void put_field(struct buf *to, const char *name, struct span value)
{
	if (value.len)
		buf_printf(to, " %s %.*s", name, SPAN_ARG(value));
}

static void put_waiver(const struct waiver *w, struct buf *to)
{
	buf_printf(to, "%-9s %.*s", state_words[w->state], SPAN_ARG(w->id));
	put_field(to, "of", w->scope.component);
	put_field(to, "", w->scope.versions);
	put_field(to, "in", w->scope.path);
	put_field(to, "service", w->scope.service);
	buf_printf(to, "\n          until %.*s, %.*s: %.*s\n", SPAN_ARG(w->expires),
		   SPAN_ARG(w->owner), SPAN_ARG(w->reason));
}

static enum exit_status show(const struct options *given, const struct waiver_list *list,
			     bool only_bad)
{
	struct buf out;

	buf_init(&out, OUTPUT_MAX_BYTES);
	if (strcmp(options_text(given, "format"), "json") == 0) {
		put_json(list, &out);
		return output_text(&out);
	}
	for (size_t i = 0; i < list->all.count; i++) {
		const struct waiver *w = &list->all.at[i];

		if (!only_bad)
			put_waiver(w, &out);
		else if (w->state != WAIVER_GOOD)
			buf_printf(&out, "%s:%u: the waiver of %.*s does not count: %s\n",
				   w->where.file, w->where.line, SPAN_ARG(w->id),
				   waiver_state_text(w->state));
	}
	return output_text(&out);
}

static enum exit_status run_verified(const struct options *given, bool is_verify)
{
	const char *policy_path = options_text(given, "policy");
	struct config_problems problems = {0};
	struct waiver_list list = {0};
	struct policy policy = {0};
	enum exit_status status = EXIT_STATUS_USAGE;
	size_t bad;

	if (!policy_path) {
		struct err err;

		(void)err_set(&err, ERR_INVALID, "--policy is missing: it lists the champions");
		output_error(given, &err);
		return EXIT_STATUS_USAGE;
	}
	if (policy_load(&policy, policy_path, &problems) < 0 ||
	    waiver_list_load(&list, options_operand(given, 0), &problems) < 0) {
		problems_print(given, &problems);
	} else {
		bad = waiver_list_verify(&list, &policy, clock_unix_s());
		status = show(given, &list, is_verify);
		if (is_verify && bad && status == EXIT_STATUS_OK)
			status = EXIT_STATUS_FAILED;
	}
	waiver_list_release(&list);
	policy_release(&policy);
	return status;
}

static enum exit_status run_verify(const struct options *given)
{
	return run_verified(given, true);
}

static enum exit_status run_list(const struct options *given)
{
	return run_verified(given, false);
}

static const char *const formats[] = {"text", "json", NULL};

static const struct option_spec verify_options[] = {
	{.name = "policy",
	 .short_name = 'p',
	 .kind = OPTION_FILE,
	 .argument = "FILE",
	 .help = "The policy, which lists the champions.",
	 .environment = "SALLYPORT_POLICY"},
	{.name = "format",
	 .short_name = 'f',
	 .kind = OPTION_CHOICE,
	 .argument = "FORM",
	 .help = "How to print: text or json.",
	 .initial = "text",
	 .choices = formats},
	{.name = NULL},
};

static const struct command_example verify_examples[] = {
	{"sallyport waiver verify --policy policy.yaml waivers.yaml",
	 "Fail a build when a waiver does not count any more."},
	{NULL, NULL},
};

const struct command cmd_waiver_verify = {
	.name = "waiver verify",
	.summary = "check the signatures of waivers",
	.description =
		"Prints each waiver that does not count, and why: nobody has signed it, its "
		"champion is not listed, it was changed after it was signed, or it has "
		"expired. The "
		"exit status is 1 when there is one.",
	.options = verify_options,
	.operands = file_operands,
	.examples = verify_examples,
	.run = run_verify,
};

const struct command cmd_waiver_list = {
	.name = "waiver list",
	.summary = "list waivers and whether they count",
	.description =
		"Prints each waiver with its state: good, unsigned, stranger (its champion "
		"is not listed), altered or expired.",
	.options = verify_options,
	.operands = file_operands,
	.run = run_list,
};

/* ---- key ------------------------------------------------------------------------------------- */

static enum exit_status run_key(const struct options *given)
{
	struct err err = {0};
	struct buf out;

	buf_init(&out, 256);
	if (waiver_public_key(options_operand(given, 0), options_flag(given, "new"), &out,
			      &err) == 0) {
		buf_append_byte(&out, '\n');
		return output_text(&out);
	}
	output_error(given, &err);
	buf_release(&out);
	return EXIT_STATUS_FAILED;
}

static const struct option_spec key_options[] = {
	{.name = "new", .help = "Make the key first; the file must not be there yet."},
	{.name = NULL},
};

static const struct operand_spec key_operands[] = {
	{.name = "FILE",
	 .help = "A private key of Ed25519 in PEM, as \"openssl genpkey -algorithm ed25519\" "
		 "makes "
		 "them too.",
	 .required = true,
	 .is_file = true},
	{.name = NULL},
};

static const struct command_example key_examples[] = {
	{"sallyport waiver key --new alice.pem", "Make a key; print what the policy lists."},
	{NULL, NULL},
};

const struct command cmd_waiver_key = {
	.name = "waiver key",
	.summary = "print the public key of a champion, or make a key",
	.description = "Prints the public key as it stands in a policy, under champions.",
	.options = key_options,
	.operands = key_operands,
	.examples = key_examples,
	.run = run_key,
};
