#include "http/fetch_once.h"

/* Connections close in the rounds after. */
#define ROUNDS_AFTER 4

struct once {
	const struct http_fetch_once *fetch;
	struct dns *dns;
	unsigned *status;
	struct buf *body;
	struct err *err;
	int result;
	bool done;
};

static void once_main(void *arg)
{
	struct once *o = arg;
	const struct http_fetcher_options options = {
		.url = o->fetch->url,
		.tls = o->fetch->tls,
		.dns = o->dns,
		.connections_max = 1,
	};
	struct http_fetcher *fetcher = http_fetcher_new(&options, o->err);

	if (fetcher)
		o->result = http_fetch(fetcher, &o->fetch->request,
				       loop_deadline_ms(o->fetch->timeout_ms), o->status,
				       o->body, o->err);
	http_fetcher_close(fetcher);
	o->done = true;
}

int http_fetch_once(const struct http_fetch_once *fetch, unsigned *status, struct buf *body,
		    struct err *err)
{
	const struct dns_options dns = {.servers = NULL};
	struct once o = {
		.fetch = fetch, .status = status, .body = body, .err = err, .result = -1};
	struct loop *loop = loop_new(err);

	if (!loop)
		return -1;
	o.dns = dns_new(&dns, err);
	if (o.dns && fiber_start(once_main, &o, err))
		while (!o.done)
			loop_step(loop, 1000);
	for (int i = 0; i < ROUNDS_AFTER; i++)
		loop_step(loop, 0);
	if (o.dns)
		dns_free(o.dns);
	loop_free(loop);
	return o.result;
}
