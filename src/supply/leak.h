/*
 * leak.h - secrets in texts. Rules say which literals a secret has near it (keywords), what it looks
 * like (a regular expression of PCRE2, whose group "value", else the first, is the secret) and what
 * else must hold of it: entropy, a checksum. Hyperscan looks for all literals at once; only around
 * them are expressions run. Values are masked in all that comes out.
 *
 *	- id: secret-acme-token
 *	  kind: secret
 *	  severity: high
 *	  what: a token of Acme
 *	  why: ...
 *	  fix: Revoke it; ...
 *	  pattern: '\bacme_([0-9a-f]{32})\b'
 *	  keywords: [acme_]         # one of them must be in the same line (or before, with `lines`)
 *	  entropy: 3.0              # bits a character that it has at least; 0: any
 *	  verify: crc32             # crc32, jwt, basic, base64: see enum leak_verify
 *	  files: ['*.env', .npmrc]  # only in files of such names
 *	  lines: true               # it goes over lines
 *	  generic: true             # it gives way to every other rule, and needs quotes in source code
 *	  bad: 'token = acme_{{hex:32}}'
 *	  good: 'token = acme_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'
 *
 * Examples have no secrets in them, but how to make them: {{alnum:N}}, {{alpha:N}}, {{lower:N}} and
 * {{upper:N}} (letters and digits), {{digit:N}}, {{hex:N}}, {{HEX:N}}, {{base32:N}}, {{bech32:N}}, {{base64:N}},
 * {{base64url:N}} are so many characters, {{crc32}} is the checksum of the last such characters, and
 * {{b64:TEXT}}, {{b64url:TEXT}} are a text in base64.
 *
 * Not reported: what says of itself that it is an example (EXAMPLE, xxxx, 12345678, ...), what is
 * filled in elsewhere (${VAR}, {{ var }}, <secret>, ...), and what a comment allows: with
 * "sallyport:allow", perhaps followed by ids of rules, in the same line or alone in the line before.
 */
#ifndef SUPPLY_LEAK_H
#define SUPPLY_LEAK_H

#include "base/buf.h"
#include "base/err.h"
#include "base/finding.h"

struct check_rule;
struct leak_scanner;

enum leak_verify {
	LEAK_VERIFY_NONE,
	LEAK_VERIFY_CRC32, /* the last 6 characters are the CRC-32 of the 30 before, in base 62 */
	LEAK_VERIFY_JWT, /* the first part is a JSON object with "alg", in base64url */
	LEAK_VERIFY_BASIC, /* "user:password" in base64 */
	LEAK_VERIFY_BASE64, /* decodes */
};

struct leak_text {
	struct span path; /* of the file, as findings name it */
	struct span subject; /* of findings; may be empty */
	struct span text;
};

/*
 * For those of the rules that are of kind `secret`; they must outlive the scanner. NULL with *err:
 * ERR_INVALID for an expression that does not compile, ERR_MEMORY.
 */
struct leak_scanner *leak_scanner_new(const struct check_rule *rules, size_t count,
				      struct err *err) MUST_CHECK;
void leak_scanner_free(struct leak_scanner *s);
/* All rules, for leak_scan. */
#define LEAK_ALL SIZE_MAX
/*
 * Adds what is found by a rule, or all. -1: ERR_LIMIT when a rule gave up or there is too much
 * (what was found is in the list), ERR_MEMORY.
 */
int leak_scan(struct leak_scanner *s, const struct leak_text *text, size_t rule,
	      struct finding_list *findings, struct err *err) MUST_CHECK;
/* By its name: not a picture, archive, program, or a file of checksums that tools have written. */
bool leak_wants(struct span path);
/* Does it look like text, not like a program or a picture? */
bool leak_is_text(struct span bytes);

/* --- Inside; for tests too. */

/* Bits a character. */
double leak_entropy(struct span value);
bool leak_holds(enum leak_verify verify, struct span value);
/* An example, or filled in elsewhere; `generic` knows more words. */
bool leak_is_placeholder(struct span value, bool generic);
/* The example with everything in {{}} made, always the same for a seed. NULL ptr: no memory. */
struct span leak_example(struct arena *a, struct span text, struct span seed);
bool leak_verify_parse(struct span word, enum leak_verify *verify);

#endif
