#include "config/schema_parts.h"
#include "parse/mail_address.h"

static const struct schema_format format_mail_url = {
	.what = "smtp://host[:port] or smtps://host[:port]",
	.valid = mail_url_valid,
	.pattern = "^smtps?://",
};

static const struct schema_format format_mail_address = {
	.what = "an e-mail address",
	.valid = mail_address_valid,
	.pattern = "^[^@ ]+@[^@ ]+$",
};

static const struct schema_name tls_names[] = {
	{"required", CONFIG_MAIL_TLS_REQUIRED},
	{"optional", CONFIG_MAIL_TLS_OPTIONAL},
	{"off", CONFIG_MAIL_TLS_OFF},
	{NULL, 0},
};

static const struct schema_key mail_keys[] = {
	{KEY("url", TEXT, config_mail, url), .flags = SCHEMA_REQUIRED,
	 .format = &format_mail_url,
	 .text = "Server that takes our mail: smtp://host:587 (STARTTLS) or smtps://host."},
	{KEY("from", TEXT, config_mail, from), .flags = SCHEMA_REQUIRED,
	 .format = &format_mail_address, .text = "Address that it comes from."},
	{KEY("name", TEXT, config_mail, name), .format = &format_any,
	 .text = "Name shown beside it."},
	{KEY("user", TEXT, config_mail, user), .format = &format_any,
	 .text = "User to log in as; without, no login."},
	{KEY("password", SECRET, config_mail, password), .text = "Its password."},
	{KEY("tls", ENUM, config_mail, tls), .initial = "required", .names = tls_names,
	 .text = "required, optional (an attacker can take it away) or off."},
	{KEY("ca", FILE, config_mail, ca),
	 .text = "Certificates that may sign the server's; without, the system's."},
	{KEY("connect_timeout", DURATION, config_mail, connect_ms), .initial = "10s",
	 .min = 100, .max = 60000, .text = "For the connection."},
	{KEY("timeout", DURATION, config_mail, timeout_ms), .initial = "20s", .min = 100,
	 .max = 300000, .text = "For the whole of sending a mail."},
	{.name = NULL},
};

static void mail_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	const struct config_mail *mail = object;

	if ((mail->user.len > 0) != (mail->password.len > 0))
		reader_error(reader, node->where, "give 'user' and 'password', or neither");
	if (mail->user.len && mail->tls == CONFIG_MAIL_TLS_OFF &&
	    !span_starts_with(mail->url, SPAN("smtps:")))
		reader_warn(reader, node->where,
			    "the password travels in the clear (tls: off)");
}

const struct schema_object schema_mail = {
	.name = "mail",
	.size = sizeof(struct config_mail),
	.keys = mail_keys,
	.finish = mail_finish,
};
