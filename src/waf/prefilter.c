#include "waf/prefilter.h"
#include "waf/transaction.h"
int prefilter_build(struct waf_rules *rules, const struct waf_sources *sources, struct err *err)
{
	(void)rules;
	(void)sources;
	(void)err;
	return 0;
}
void prefilter_free(struct prefilter *prefilter)
{
	(void)prefilter;
}
uint32_t prefilter_rules(const struct prefilter *prefilter)
{
	(void)prefilter;
	return 0;
}
void prefilter_scan(struct waf_transaction *t, unsigned phase)
{
	(void)t;
	(void)phase;
}
void prefilter_scratch_free(struct prefilter_scratch *scratch)
{
	(void)scratch;
}
