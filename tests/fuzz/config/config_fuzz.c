/* config_fuzz.c - any bytes as a configuration; no files, one variable. */
#include <stdint.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *variable(void *context, const char *name)
{
	(void)context;
	return strcmp(name, "A") == 0 ? "1" : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct config_source source = {.variable = variable};
	struct config_problems problems = {0};
	struct config *cfg = NULL;
	struct buf out;

	buf_init(&out, 1 << 20);
	if (config_load_text(span_of(data, size), "conf/fuzz.yaml", &source, &cfg, &problems) ==
	    0) {
		config_print_masked(cfg, &out);
		config_plan_text(cfg, &out);
		config_plan_json(cfg, &out);
		config_unref(cfg);
	} else if (problems.errors == 0) {
		abort();
	}
	config_problems_print(&problems, &out);
	buf_release(&out);
	return 0;
}
