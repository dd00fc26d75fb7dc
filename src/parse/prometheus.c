#include "parse/prometheus.h"

void prometheus_head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void prometheus_number(struct buf *out, const char *name, const char *type, const char *help,
		       uint64_t value)
{
	prometheus_head(out, name, type, help);
	buf_printf(out, "%s %llu\n", name, (unsigned long long)value);
}
