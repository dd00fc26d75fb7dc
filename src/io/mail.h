/*
 * mail.h - sends e-mail through an SMTP server (RFC 5321), by libcurl. Blocks for at most the
 * timeout: it belongs to an offload thread or a command line, never to a fiber.
 *
 *	const struct mail mail = {.to = to, .subject = SPAN("Hello"), .text = text};
 *	if (mail_send(&options, &mail, &err) < 0)
 *		...
 */
#ifndef IO_MAIL_H
#define IO_MAIL_H

#include "base/err.h"
#include "base/span.h"

#define MAIL_SUBJECT_BYTES_MAX 512
#define MAIL_TEXT_BYTES_MAX ((size_t)256 * 1024)

enum mail_tls {
	MAIL_TLS_REQUIRED, /* smtps, or STARTTLS before anything is said (RFC 3207) */
	MAIL_TLS_OPTIONAL, /* STARTTLS when the server offers it: an attacker can take it away */
	MAIL_TLS_OFF, /* in the clear, also the password: for a relay on the same host */
};

struct mail_options {
	struct span url; /* smtp://host[:port] (25), smtps://host[:port] (465) */
	struct span from; /* an address (parse/mail_address.h) */
	struct span from_name; /* shown beside it; empty: none */
	struct span user; /* empty: no authentication (RFC 4954) */
	struct span password;
	enum mail_tls tls;
	struct span ca; /* file of trust anchors; empty: the system's */
	int64_t connect_timeout_ms; /* 0: 10 s */
	int64_t timeout_ms; /* of the whole; 0: 30 s */
};

struct mail {
	struct span to; /* one address */
	struct span subject; /* UTF-8, one line */
	struct span text; /* UTF-8, lines end with LF or CRLF */
};

/*
 * 0: the server has taken responsibility for the mail. -1: ERR_INVALID (an address, a subject or a
 * text that cannot be sent), ERR_DENIED (the server refuses the login or the recipient),
 * ERR_TIMEOUT, ERR_UNAVAILABLE (all else; TLS that does not verify too). Messages hold no secret.
 */
int mail_send(const struct mail_options *options, const struct mail *mail,
	      struct err *err) MUST_CHECK;

#endif
