/* support.h - what the tests of src/io share: running fibers to their end, and making keys. */
#ifndef TESTS_IO_SUPPORT_H
#define TESTS_IO_SUPPORT_H

/* cmocka.h needs these first. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <openssl/types.h>

#include "base/compiler.h"
#include "base/span.h"
#include "io/fiber.h"
#include "io/loop.h"

/* cmocka setup and teardown: a loop of the thread, and a check that nothing is left in it. */
int loop_setup(void **state);
int loop_teardown(void **state);
/* Runs the loop until no fiber is left; fails the test after 20 s. */
void run_fibers(void);
/* Runs the loop until *flag; fails the test after 20 s. */
void run_until(const bool *flag);
void start_fiber(fiber_function *function, void *arg);
/* Two connected non-blocking Unix sockets, with buffers as small as the kernel allows. */
void small_socketpair(int fds[2]);

/* A key and certificate made for a test. */
struct test_certificate {
	X509 *certificate;
	EVP_PKEY *key;
	char *certificate_pem; /* NUL-terminated */
	char *key_pem;
};
enum test_key { TEST_KEY_EC, TEST_KEY_RSA };
/*
 * `names`: OpenSSL's syntax for subjectAltName ("DNS:a.test,URI:spiffe://b"), NULL for none. Signed
 * by `issuer`, or by itself when NULL, which makes it a CA.
 */
void make_certificate(struct test_certificate *to, enum test_key type, const char *common_name,
		      const char *names, const struct test_certificate *issuer);
void free_certificate(struct test_certificate *certificate);

#endif
