/*
 * mail_address.h - what an e-mail address and the URL of a mail server must look like before they
 * get near a header line or an SMTP command.
 */
#ifndef PARSE_MAIL_ADDRESS_H
#define PARSE_MAIL_ADDRESS_H

#include "base/span.h"

#define MAIL_ADDRESS_BYTES_MAX 254

/*
 * An address of RFC 5321 section 4.1.2, without quoted local parts, address literals and SMTPUTF8:
 * so nothing that could end a line or start another address.
 */
bool mail_address_valid(struct span address);
/* smtp:// or smtps:// with a host and perhaps a port, nothing else. */
bool mail_url_valid(struct span url);

#endif
