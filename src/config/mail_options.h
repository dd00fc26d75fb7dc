/* mail_options.h - what io/mail.h takes, from the configuration. */
#ifndef CONFIG_MAIL_OPTIONS_H
#define CONFIG_MAIL_OPTIONS_H

#include "config/config_mail.h"
#include "io/mail.h"

/* Spans of the configuration: they live as long as it does. */
static inline struct mail_options config_mail_options(const struct config_mail *mail)
{
	static const enum mail_tls tls[] = {[CONFIG_MAIL_TLS_REQUIRED] = MAIL_TLS_REQUIRED,
					    [CONFIG_MAIL_TLS_OPTIONAL] = MAIL_TLS_OPTIONAL,
					    [CONFIG_MAIL_TLS_OFF] = MAIL_TLS_OFF};

	return (struct mail_options){
		.url = mail->url,
		.from = mail->from,
		.from_name = mail->name,
		.user = mail->user,
		.password = secret_span(&mail->password),
		.tls = tls[mail->tls],
		.ca = mail->ca,
		.connect_timeout_ms = (int64_t)mail->connect_ms,
		.timeout_ms = (int64_t)mail->timeout_ms,
	};
}

#endif
