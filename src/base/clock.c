#include "base/clock.h"

#include <time.h>

static int64_t read_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

HOT int64_t clock_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

int64_t clock_ms(void)
{
	return clock_ns() / 1000000;
}

int64_t clock_thread_ns(void)
{
	return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

int64_t clock_unix_ms(void)
{
	return read_ns(CLOCK_REALTIME) / 1000000;
}

int64_t clock_unix_s(void)
{
	return clock_unix_ms() / 1000;
}

HOT int64_t clock_unix_coarse_s(void)
{
	return read_ns(CLOCK_REALTIME_COARSE) / 1000000000;
}

static void put_digits(char *to, int value, int count)
{
	for (int i = count - 1; i >= 0; i--) {
		to[i] = (char)('0' + value % 10);
		value /= 10;
	}
}

/* 0000-01-01T00:00:00Z and 9999-12-31T23:59:59Z: both formats have four digits for the year. */
#define FIRST_SECOND (-62167219200)
#define LAST_SECOND 253402300799

static int64_t clamp(int64_t unix_s)
{
	if (unix_s < FIRST_SECOND)
		return FIRST_SECOND;
	return unix_s > LAST_SECOND ? LAST_SECOND : unix_s;
}

static void split(int64_t unix_s, struct tm *parts)
{
	time_t seconds = (time_t)unix_s;

	/* It fails only for years that do not fit an int. */
	if (!gmtime_r(&seconds, parts))
		abort();
}

void clock_rfc3339(char to[CLOCK_RFC3339_SIZE], int64_t unix_ms)
{
	int milliseconds = (int)(unix_ms % 1000);
	int64_t seconds = unix_ms / 1000;
	struct tm t;

	if (milliseconds < 0) {
		milliseconds += 1000;
		seconds--;
	}
	split(clamp(seconds), &t);
	memcpy(to, "0000-00-00T00:00:00.000Z", CLOCK_RFC3339_SIZE);
	put_digits(to, t.tm_year + 1900, 4);
	put_digits(to + 5, t.tm_mon + 1, 2);
	put_digits(to + 8, t.tm_mday, 2);
	put_digits(to + 11, t.tm_hour, 2);
	put_digits(to + 14, t.tm_min, 2);
	put_digits(to + 17, t.tm_sec, 2);
	put_digits(to + 20, milliseconds, 3);
}

void clock_http(char to[CLOCK_HTTP_SIZE], int64_t unix_s)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm t;

	split(clamp(unix_s), &t);
	memcpy(to, "Sun, 00 Jan 0000 00:00:00 GMT", CLOCK_HTTP_SIZE);
	memcpy(to, days + t.tm_wday * 3, 3);
	put_digits(to + 5, t.tm_mday, 2);
	memcpy(to + 8, months + t.tm_mon * 3, 3);
	put_digits(to + 12, t.tm_year + 1900, 4);
	put_digits(to + 17, t.tm_hour, 2);
	put_digits(to + 20, t.tm_min, 2);
	put_digits(to + 23, t.tm_sec, 2);
}
