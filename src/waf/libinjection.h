/*
 * libinjection.h - the SQL injection and cross-site scripting detectors of libinjection, as
 * libmodsecurity exports them. Its two functions are found with dlopen when a rule set needs them,
 * so that a program without such rules loads no C++ library.
 */
#ifndef WAF_LIBINJECTION_H
#define WAF_LIBINJECTION_H

#include "base/err.h"
#include "base/span.h"

struct libinjection;

/* The fingerprint: at most 5 letters in this libinjection, and a NUL. */
#define LIBINJECTION_FINGERPRINT_SIZE 8

/*
 * Loads the library ("libmodsecurity.so.3" when NULL) and tries known attacks and harmless texts;
 * NULL when the library or a function is not there, or an answer is wrong.
 */
struct libinjection *libinjection_open(const char *library, struct err *err);
void libinjection_close(struct libinjection *l);
/* Safe from any thread. The fingerprint is set when it is an injection. */
bool libinjection_detect_sqli(const struct libinjection *l, struct span text,
			      char fingerprint[LIBINJECTION_FINGERPRINT_SIZE]);
bool libinjection_detect_xss(const struct libinjection *l, struct span text);

#endif
