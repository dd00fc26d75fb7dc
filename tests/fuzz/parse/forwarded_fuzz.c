/*
 * An untrusted peer stays the client whatever the field says; an answer is the peer or came from
 * the field; what stands left of an untrusted address changes nothing.
 */
#include <assert.h>

#include "base/mem.h"
#include "parse/forwarded.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_walk(const struct cidr_set *trusted, struct span line,
		       enum forwarded_result (*walk)(const struct cidr_set *, struct span,
						     struct address *))
{
	static const uint8_t proxy[4] = {10, 0, 0, 1}, stranger[4] = {192, 0, 2, 1};
	struct address outside = address_from_ipv4(stranger);
	struct address client = outside;
	enum forwarded_result result;

	assert(walk(trusted, line, &client) == FORWARDED_FOUND &&
	       address_eq(&client, &outside));
	client = address_from_ipv4(proxy);
	result = walk(trusted, line, &client);
	assert((result == FORWARDED_FOUND) == !cidr_set_contains(trusted, &client));
}

/* A proxy of ours appends its part: then only that part counts. */
static void check_appended(const struct cidr_set *trusted, struct span line, struct span part,
			   enum forwarded_result (*walk)(const struct cidr_set *, struct span,
							 struct address *))
{
	static const uint8_t proxy[4] = {10, 0, 0, 1}, wanted[4] = {203, 0, 113, 5};
	struct address client = address_from_ipv4(proxy);
	struct address expected = address_from_ipv4(wanted);
	char *joined = mem_alloc(line.len + part.len);
	enum forwarded_result result;

	assert(joined);
	memcpy(joined, line.ptr, line.len);
	memcpy(joined + line.len, part.ptr, part.len);
	result = walk(trusted, span_of(joined, line.len + part.len), &client);
	/* A backslash to the left makes Forwarded bad: then the proxy itself is the answer. */
	assert(result == FORWARDED_FOUND ? address_eq(&client, &expected)
					 : result == FORWARDED_BAD);
	mem_free(joined);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span line = span_of(data, size);
	struct cidr_set trusted;
	struct span rest = line;

	cidr_set_init(&trusted);
	assert(cidr_set_add_text(&trusted, SPAN("10.0.0.0/8"), NULL) == 0);
	cidr_set_build(&trusted);
	check_walk(&trusted, line, forwarded_walk_x_forwarded_for);
	check_walk(&trusted, line, forwarded_walk);
	check_appended(&trusted, line, SPAN(", 203.0.113.5"), forwarded_walk_x_forwarded_for);
	check_appended(&trusted, line, SPAN(", for=203.0.113.5"), forwarded_walk);
	while (rest.ptr) {
		struct forwarded_element element;

		if (!forwarded_pop(&rest, &element))
			break;
	}
	cidr_set_release(&trusted);
	return 0;
}
