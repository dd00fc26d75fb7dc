#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

static _Atomic int log_fd = STDERR_FILENO;
static _Atomic int log_level = LOG_INFO;
static _Atomic int log_style = LOG_FORMAT_JSON;

/* Kept free at the end of a line for what closes it. */
#define CLOSING_ROOM 32

static const char *const level_names[] = {"debug", "info", "warn", "error", "off"};

void log_setup(int fd, enum log_level level, enum log_format format)
{
	log_fd = fd;
	log_level = (int)level;
	log_style = (int)format;
}

bool log_level_parse(struct span name, enum log_level *level)
{
	for (unsigned i = 0; i < COUNT_OF(level_names); i++) {
		if (span_eq(name, span_cstr(level_names[i]))) {
			*level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

bool log_wanted(enum log_level level)
{
	return (int)level >= log_level;
}

static bool put(struct log_line *l, struct span s)
{
	if (s.len > sizeof(l->text) - CLOSING_ROOM - l->len) {
		l->truncated = true;
		return false;
	}
	memcpy(l->text + l->len, s.ptr, s.len);
	l->len += s.len;
	return true;
}

static void put_escaped(struct log_line *l, struct span value)
{
	/* Written in place: a full buffer fails instead of growing, so nothing is allocated. */
	size_t room = sizeof(l->text) - CLOSING_ROOM - l->len;
	struct buf escaped = {.ptr = l->text + l->len, .cap = room, .max = room};

	if (buf_append_json(&escaped, value) < 0)
		l->truncated = true;
	else
		l->len += escaped.len;
}

void log_begin(struct log_line *l, enum log_level level, const char *event)
{
	char now[CLOCK_RFC3339_SIZE];

	l->len = 0;
	l->truncated = false;
	l->wanted = log_wanted(level);
	if (!l->wanted)
		return;
	clock_rfc3339(now, clock_unix_ms());
	if (log_style == LOG_FORMAT_JSON)
		l->len = (size_t)snprintf(
			l->text, sizeof(l->text),
			"{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%.200s\"", now,
			level_names[level], event);
	else
		l->len = (size_t)snprintf(l->text, sizeof(l->text), "%.8s %-5s %.200s",
					  now + 11, level_names[level], event);
}

static bool put_key(struct log_line *l, const char *key)
{
	bool json = log_style == LOG_FORMAT_JSON;

	return put(l, json ? SPAN(",\"") : SPAN(" ")) && put(l, span_cstr(key)) &&
	       put(l, json ? SPAN("\":") : SPAN("="));
}

void log_str(struct log_line *l, const char *key, struct span value)
{
	size_t before = l->len;

	if (!l->wanted || l->truncated)
		return;
	if (put_key(l, key) && put(l, SPAN("\""))) {
		put_escaped(l, value);
		put(l, SPAN("\""));
	}
	if (l->truncated)
		l->len = before;
}

static void put_plain(struct log_line *l, const char *key, struct span text)
{
	size_t before = l->len;

	if (!l->wanted || l->truncated)
		return;
	if (!put_key(l, key) || !put(l, text))
		l->len = before;
}

void log_int(struct log_line *l, const char *key, int64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%lld", (long long)value);
	put_plain(l, key, span_cstr(digits));
}

void log_bool(struct log_line *l, const char *key, bool value)
{
	put_plain(l, key, value ? SPAN("true") : SPAN("false"));
}

void log_err(struct log_line *l, const struct err *err)
{
	log_str(l, "error", span_cstr(err->message));
	log_str(l, "code", span_cstr(err_code_name(err->code)));
}

void log_end(struct log_line *l)
{
	bool json = log_style == LOG_FORMAT_JSON;
	struct span closing = json ? SPAN("}\n") : SPAN("\n");

	if (!l->wanted)
		return;
	if (l->truncated)
		closing = json ? SPAN(",\"truncated\":true}\n") : SPAN(" truncated\n");
	memcpy(l->text + l->len, closing.ptr, closing.len);
	l->len += closing.len;
	/* A log that cannot be written has nowhere to be reported. */
	if (write(log_fd, l->text, l->len) < 0)
		return;
}

void log_message(enum log_level level, const char *event, const char *format, ...)
{
	struct log_line l;
	char text[1024];
	va_list args;

	log_begin(&l, level, event);
	if (!l.wanted)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_str(&l, "message", span_cstr(text));
	log_end(&l);
}
