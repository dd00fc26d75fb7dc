#include "base/err.h"

#include <stdarg.h>

static PRINTF_LIKE(3, 0) void format_message(char *to, size_t size, const char *format,
					     va_list args)
{
	if (vsnprintf(to, size, format, args) < 0)
		to[0] = '\0';
}

int(err_set)(struct err *err, enum err_code code, const char *format, ...)
{
	va_list args;

	if (!err)
		return -1;
	err->code = code;
	va_start(args, format);
	format_message(err->message, sizeof(err->message), format, args);
	va_end(args);
	return -1;
}

int(err_set_errno)(struct err *err, int errno_value, const char *format, ...)
{
	char text[128];
	size_t used;
	va_list args;

	if (!err)
		return -1;
	err->code = ERR_IO;
	va_start(args, format);
	format_message(err->message, sizeof(err->message), format, args);
	va_end(args);
	used = strlen(err->message);
	snprintf(err->message + used, sizeof(err->message) - used, ": %s",
		 strerror_r(errno_value, text, sizeof(text)));
	return -1;
}

int(err_wrap)(struct err *err, const char *format, ...)
{
	char inner[sizeof(err->message)];
	size_t used;
	va_list args;

	if (!err)
		return -1;
	memcpy(inner, err->message, sizeof(inner));
	va_start(args, format);
	format_message(err->message, sizeof(err->message), format, args);
	va_end(args);
	used = strlen(err->message);
	snprintf(err->message + used, sizeof(err->message) - used, ": %s", inner);
	return -1;
}

const char *err_code_name(enum err_code code)
{
	switch (code) {
	case ERR_NONE: return "none";
	case ERR_MEMORY: return "memory";
	case ERR_IO: return "io";
	case ERR_TIMEOUT: return "timeout";
	case ERR_CANCELLED: return "cancelled";
	case ERR_CLOSED: return "closed";
	case ERR_LIMIT: return "limit";
	case ERR_SYNTAX: return "syntax";
	case ERR_INVALID: return "invalid";
	case ERR_NOT_FOUND: return "not_found";
	case ERR_DENIED: return "denied";
	case ERR_UNAVAILABLE: return "unavailable";
	case ERR_INTERNAL: return "internal";
	}
	return "unknown";
}
