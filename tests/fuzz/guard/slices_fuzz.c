/* Pages and events of slices: what comes out are endpoints that may be asked, and no more than may be. */
#include <assert.h>

#include "guard/slices.h"
#include "parse/address.h"

#define MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct slices *slices)
{
	struct endpoint_list *list = endpoint_list_new(MAX, NULL);

	assert(list && slices_endpoints(slices, list, NULL) == 0);
	endpoint_list_seal(list);
	assert(list->count <= MAX);
	for (size_t i = 0; i < list->count; i++) {
		assert(list->at[i].address.port != 0 && list->at[i].address.host.len != 0);
		assert(i == 0 || span_compare(list->at[i - 1].url, list->at[i].url) < 0);
	}
	endpoint_list_unref(list);
}

/* A first line that is a page of a list; the others are events. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_kubernetes kubernetes = {.namespace_name = SPAN("shop"),
					       .service = SPAN("orders"),
					       .port = SPAN("http")};
	struct config_discover config = {.kubernetes = &kubernetes};
	struct slices *slices = slices_new(&config, NULL);
	struct span rest = span_of(data, size), more;
	struct err err;

	assert(slices);
	slices_begin_list(slices);
	if (slices_take_page(slices, span_cut(&rest, '\n'), &more, &err) == 0 && !more.len)
		assert(slices_version(slices).len > 0);
	check(slices);
	while (rest.ptr && rest.len) {
		(void)slices_take_event(slices, span_cut(&rest, '\n'), &err);
		check(slices);
	}
	slices_free(slices);
	return 0;
}
