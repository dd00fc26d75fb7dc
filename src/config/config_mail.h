/* config_mail.h - the mail server that notices go through. Included by config.h. */
#ifndef CONFIG_CONFIG_MAIL_H
#define CONFIG_CONFIG_MAIL_H

#include <stdint.h>

#include "base/secret.h"
#include "base/span.h"

enum config_mail_tls {
	CONFIG_MAIL_TLS_REQUIRED,
	CONFIG_MAIL_TLS_OPTIONAL,
	CONFIG_MAIL_TLS_OFF
};

/* As struct mail_options of io/mail.h takes it. */
struct config_mail {
	struct span url; /* smtp:// or smtps:// */
	struct span from;
	struct span name; /* beside it; empty: none */
	struct span user; /* empty: no login */
	struct secret password;
	enum config_mail_tls tls;
	struct span ca; /* empty: the system's */
	uint64_t connect_ms;
	uint64_t timeout_ms;
};

#endif
