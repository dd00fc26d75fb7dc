#include "base/rand.h"

#include <errno.h>
#include <pthread.h>
#include <sys/random.h>

#include "base/hex.h"

struct rand_buffer {
	unsigned char bytes[512];
	size_t left;
};

static _Thread_local struct rand_buffer buffer;

/* A child process must not hand out what its parent also holds. */
static void forget(void)
{
	explicit_bzero(&buffer, sizeof(buffer));
}

__attribute__((constructor)) static void forget_in_children(void)
{
	if (pthread_atfork(NULL, NULL, forget) != 0)
		abort();
}

static void from_kernel(void *to, size_t len)
{
	unsigned char *at = to;

	while (len) {
		ssize_t n = getrandom(at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			abort();
		at += n;
		len -= (size_t)n;
	}
}

void rand_bytes(void *to, size_t len)
{
	if (len > sizeof(buffer.bytes) / 4) {
		from_kernel(to, len);
		return;
	}
	if (buffer.left < len) {
		from_kernel(buffer.bytes, sizeof(buffer.bytes));
		buffer.left = sizeof(buffer.bytes);
	}
	buffer.left -= len;
	memcpy(to, buffer.bytes + buffer.left, len);
	explicit_bzero(buffer.bytes + buffer.left, len);
}

uint64_t rand_u64(void)
{
	uint64_t value;

	rand_bytes(&value, sizeof(value));
	return value;
}

uint64_t rand_below(uint64_t bound)
{
	uint64_t reject_below = (0 - bound) % bound;
	uint64_t value;

	do
		value = rand_u64();
	while (value < reject_below);
	return value % bound;
}

void rand_hex(char *to, size_t bytes)
{
	unsigned char raw[64];

	while (bytes) {
		size_t n = bytes < sizeof(raw) ? bytes : sizeof(raw);

		rand_bytes(raw, n);
		hex_encode(to, raw, n);
		to += 2 * n;
		bytes -= n;
	}
}
