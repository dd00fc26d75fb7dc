/*
 * client_hello.h - what the first message of a TLS client (RFC 8446 section 4.1.2) says of the program
 * that has sent it: which versions, ciphers, extensions and signatures it offers, and in which order,
 * depends on the program and its TLS library, not on the address that it calls from.
 *
 * The form is the one that is known as JA4, so that it can be held against lists of others:
 * "t13d1516h2_8daaf6152771_e5627efa2ab1" is TLS over TCP, version 1.3, with a server name (d, or i), 15
 * ciphers, 16 extensions, first protocol h2; then digests of the sorted ciphers, and of the sorted
 * extensions with the signature algorithms. Values that are drawn to keep servers tolerant (GREASE, RFC
 * 8701) do not count.
 */
#ifndef PARSE_CLIENT_HELLO_H
#define PARSE_CLIENT_HELLO_H

#include "base/compiler.h"
#include "base/span.h"

#define CLIENT_HELLO_FINGERPRINT_BYTES 36

/*
 * `message` is the whole handshake message with its head. NUL-terminates `to`. False when it is no
 * ClientHello, or is cut off.
 */
bool client_hello_fingerprint(struct span message,
			      char to[CLIENT_HELLO_FINGERPRINT_BYTES + 1]) MUST_CHECK;
/* Whether the text may be such a fingerprint. */
bool client_hello_is_fingerprint(struct span text);

#endif
