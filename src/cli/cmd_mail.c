#include "cli/admin_work.h"
#include "config/mail_options.h"

static int send_test(const struct options *given, const struct config *cfg, struct err *err)
{
	const struct mail mail = {
		.to = span_cstr(options_operand(given, 0)),
		.subject = SPAN("Mail from Sallyport works"),
		.text = SPAN("This is what \"sallyport mail test\" sends.\n"),
	};
	struct mail_options options;

	if (!cfg->mail)
		return err_set(err, ERR_INVALID, "the configuration has no 'mail'");
	options = config_mail_options(cfg->mail);
	return mail_send(&options, &mail, err);
}

static enum exit_status run_test(const struct options *given)
{
	struct err err = {.code = ERR_NONE};
	struct config *cfg = admin_load(given, &err);
	int result = cfg ? send_test(given, cfg, &err) : -1;
	struct buf out;

	config_unref(cfg);
	if (result < 0) {
		output_error(given, &err);
		return EXIT_STATUS_FAILED;
	}
	buf_init(&out, 256);
	buf_append_cstr(&out, "{\"sent\":true}\n");
	return output_text(&out);
}

static const struct operand_spec address_operand[] = {
	{.name = "ADDRESS", .help = "Who gets the mail.", .required = true},
	{.name = NULL},
};

static const struct command_example test_examples[] = {
	{"sallyport mail test me@example.test", "See whether the server of 'mail' takes ours."},
	{NULL, NULL},
};

const struct command cmd_mail_test = {
	.name = "mail test",
	.summary = "send a mail, to see whether the settings are right",
	.description = "Waits until the server of the configuration's 'mail' has taken it, or "
		       "says why it has not.",
	.options = admin_options,
	.operands = address_operand,
	.examples = test_examples,
	.run = run_test,
};
