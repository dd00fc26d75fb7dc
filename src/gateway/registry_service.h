/*
 * registry_service.h - the firewall before package registries (registry/registry.h) as an internal
 * service: requests are worked on in offload threads, files are sent from the cache. One a process.
 * Private to src/gateway.
 */
#ifndef GATEWAY_REGISTRY_SERVICE_H
#define GATEWAY_REGISTRY_SERVICE_H

#include "gateway/internal_service.h"

struct registry_service;
struct registry;

/* Opens the store where the configuration has one; blocks. The configuration must have the section. */
struct registry_service *registry_service_new(struct config *cfg, struct err *err) MUST_CHECK;
/* All workers must have ended. NULL is allowed. */
void registry_service_free(struct registry_service *service);
/* For gateway_shared.internal. */
const struct internal_service *registry_service_handle(struct registry_service *service);

/*
 * For a configuration that is being loaded: makes what it needs in *next (NULL when it has no such
 * section), to be given to registry_service_use once the rest of the loading has succeeded, or to
 * registry_unref.
 */
int registry_service_prepare(struct registry_service *service, struct config *cfg,
			     struct registry **next, struct err *err) MUST_CHECK;
void registry_service_use(struct registry_service *service, struct registry *next);

#endif
