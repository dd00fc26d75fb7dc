/* discovery_internal.h - what the kinds of discovery share. Private to src/gateway. */
#ifndef GATEWAY_DISCOVERY_INTERNAL_H
#define GATEWAY_DISCOVERY_INTERNAL_H

#include "gateway/discovery.h"

struct finder {
	struct discovery *discovery;
	const struct config_service *service;
	const struct config_discover *config;
	struct dns *dns;
	struct dns *own_dns; /* with name servers of its own; NULL: none */
	struct fiber *fiber; /* NULL: has ended */
	struct endpoint_list *found; /* the last; NULL: nothing yet */
	bool changed; /* `found` waits to be told */
	int64_t empty_since_ms; /* DNS says that there is nothing; 0: it does not */
	uint64_t answers, failures, changes;
	unsigned failed_in_row;
	char problem[160]; /* of the last failure; empty after an answer */
};

/* The fibers' work; they return when they are cancelled. */
void discovery_dns_main(struct finder *finder);
void discovery_kubernetes_main(struct finder *finder);

/* Seals the list, and takes it over; tells of it when it is another one. */
void finder_publish(struct finder *finder, struct endpoint_list *list);
/* An answer has come, whether it changes anything or not. */
void finder_answered(struct finder *finder);
/* None has come, or no usable one. */
void finder_failed(struct finder *finder, const struct err *err);
/* Waits, longer and longer, and by chance. FIBER_CANCELLED: it is over. */
enum fiber_wake finder_back_off(const struct finder *finder);

#endif
