/*
 * log.h - structured events, one JSON object a line (or one readable line on a terminal), written
 * with a single write to standard error. Usable from any thread. A line longer than LOG_LINE_MAX
 * loses its last fields and says so ("truncated":true).
 *
 *	struct log_line l;
 *	log_begin(&l, LOG_WARN, "upstream.connect_failed");
 *	log_str(&l, "service", name);
 *	log_int(&l, "attempt", 2);
 *	log_end(&l);
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"

#define LOG_LINE_MAX 4096

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };

enum log_format { LOG_FORMAT_JSON, LOG_FORMAT_TEXT };

struct log_line {
	size_t len;
	bool wanted;
	bool truncated;
	char text[LOG_LINE_MAX];
};

/* Before threads start, or at a reload. fd stays the caller's. */
void log_setup(int fd, enum log_level level, enum log_format format);
/* False for an unknown name ("debug", "info", "warn", "error", "off"). */
bool log_level_parse(struct span name, enum log_level *level);
bool log_wanted(enum log_level level);

void log_begin(struct log_line *l, enum log_level level, const char *event);
void log_str(struct log_line *l, const char *key, struct span value);
void log_int(struct log_line *l, const char *key, int64_t value);
void log_bool(struct log_line *l, const char *key, bool value);
/* "error" and "code" fields. */
void log_err(struct log_line *l, const struct err *err);
void log_end(struct log_line *l);

/* One event with a single "message" field. */
void log_message(enum log_level level, const char *event, const char *format, ...)
	PRINTF_LIKE(3, 4) COLD;

#endif
