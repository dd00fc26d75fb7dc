#include "config/schema_parts.h"

/* ---- Kubernetes ------------------------------------------------------------------------------ */

#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"
/* Of a DNS label: what names of namespaces, services and ports are made of. */
#define LABEL_MAX 63

static bool label_valid(struct span text)
{
	if (text.len == 0 || text.len > LABEL_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
			return false;
	}
	return text.ptr[0] != '-' && text.ptr[text.len - 1] != '-';
}

static const struct schema_format format_label = {
	.what = "a name of lower case letters, digits and '-'",
	.valid = label_valid,
	.pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
};

static bool server_valid(struct span text)
{
	enum config_scheme scheme;
	struct span host, authority;
	uint16_t port;

	return value_endpoint(text, &scheme, &host, &port, &authority) &&
	       scheme != CONFIG_SCHEME_H2C;
}

static const struct schema_format format_server = {
	.what = "https://host[:port] or http://host[:port]",
	.valid = server_valid,
	.pattern = "^https?://[^/]+/?$",
};

static const struct schema_key kubernetes_keys[] = {
	{KEY("namespace", TEXT, config_kubernetes, namespace_name), .flags = SCHEMA_REQUIRED,
	 .format = &format_label, .text = "Of the service."},
	{KEY("service", TEXT, config_kubernetes, service), .flags = SCHEMA_REQUIRED,
	 .format = &format_label, .text = "Its name there."},
	{KEY("port", TEXT, config_kubernetes, port), .format = &format_label,
	 .text = "Name or number of the port; without, the only one there is."},
	{KEY("server", TEXT, config_kubernetes, server),
	 .initial = "https://kubernetes.default.svc", .format = &format_server,
	 .text = "The API server."},
	{KEY("token", OUTPUT, config_kubernetes, token), .initial = ACCOUNT "token",
	 .text = "File with the token that is shown to it; read again each time."},
	{KEY("ca", OUTPUT, config_kubernetes, ca), .initial = ACCOUNT "ca.crt",
	 .text = "PEM file: authorities of the API server."},
	{KEY("watch", DURATION, config_kubernetes, watch_ms), .initial = "1m", .min = 1000,
	 .max = 3600000, .text = "How long a watch lasts before it is renewed."},
	{.name = NULL},
};

static void kubernetes_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	struct config_kubernetes *kubernetes = object;

	schema_endpoint_fill(reader, kubernetes->server, &kubernetes->api);
	if (kubernetes->api.scheme == CONFIG_SCHEME_HTTP)
		reader_warn(
			reader, node->where,
			"the API server is asked without TLS: anybody on the way can read the "
			"token and choose the endpoints");
}

static const struct schema_object kubernetes = {
	.name = "kubernetes",
	.size = sizeof(struct config_kubernetes),
	.keys = kubernetes_keys,
	.has_where = true,
	.finish = kubernetes_finish,
};

/* ---- all kinds ------------------------------------------------------------------------------- */

static bool dns_name_valid(struct span text)
{
	if (text.len == 0 || text.len > 253)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = ascii_lower(text.ptr[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
		      c == '_' || (c == '.' && i && text.ptr[i - 1] != '.')))
			return false;
	}
	return true;
}

static bool host_port_valid(struct span text)
{
	struct span host;
	uint16_t port;

	return value_host_port(text, &host, &port) && port != 0 && dns_name_valid(host);
}

static bool resolver_valid(struct span text)
{
	struct span host;
	struct address address;
	uint16_t port;

	return value_host_port(text, &host, &port) && port != 0 &&
	       address_parse(host, &address);
}

static const struct schema_format format_srv = {
	.what = "a name such as _http._tcp.orders.example.test",
	.valid = dns_name_valid,
	.pattern = "^[A-Za-z0-9._-]+$",
};

static const struct schema_format format_host_port = {
	.what = "a name and a port, such as orders.example.test:8080",
	.valid = host_port_valid,
	.pattern = "^[A-Za-z0-9._-]+:[0-9]+$",
};

static const struct schema_format format_resolver = {
	.what = "address:port of a name server",
	.valid = resolver_valid,
	.pattern = ":[0-9]+$",
};

static const struct schema_name scheme_names[] = {
	{"http", CONFIG_SCHEME_HTTP},
	{"https", CONFIG_SCHEME_HTTPS},
	{"h2c", CONFIG_SCHEME_H2C},
	{NULL, 0},
};

static const struct schema_key discover_keys[] = {
	{KEY("srv", TEXT, config_discover, srv), .format = &format_srv,
	 .text = "SRV records with this name: targets, ports, priorities and weights; or"},
	{KEY("dns", TEXT, config_discover, dns), .format = &format_host_port,
	 .text = "each address (A, AAAA) of this name, on this port; or"},
	{KEY("kubernetes", OPTIONAL, config_discover, kubernetes), .object = &kubernetes,
	 .text = "the EndpointSlices of a Kubernetes service."},
	{KEY("scheme", ENUM, config_discover, scheme), .initial = "http", .names = scheme_names,
	 .text = "How the endpoints are spoken to."},
	{KEY("resolver", TEXTS, config_discover, resolvers), .format = &format_resolver,
	 .text = "Name servers that are asked; without, the system's."},
	{KEY("timeout", DURATION, config_discover, timeout_ms), .initial = "5s", .min = 100,
	 .max = 60000, .text = "For an answer; also how long the start waits for the first."},
	{KEY("refresh", DURATION, config_discover, refresh_ms), .initial = "5m", .min = 1000,
	 .max = 86400000,
	 .text = "Answers of DNS are used for their TTL, and at most so long."},
	{KEY("hold", DURATION, config_discover, hold_ms), .initial = "30s", .max = 86400000,
	 .text = "When DNS says that there are no endpoints, the last ones stay so long."},
	{KEY("endpoints", COUNT, config_discover, endpoints_max), .initial = "1000", .min = 1,
	 .max = 10000, .text = "Endpoints at most; more are left out."},
	{.name = NULL},
};

static void discover_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	static const char *const kinds[] = {"srv", "dns", "kubernetes", NULL};
	static const char *const of_dns[] = {"resolver", "refresh", "hold", NULL};
	struct config_discover *discover = object;

	if (schema_given(node, kinds) != 1)
		reader_error(reader, node->where, "give one of 'srv', 'dns' and 'kubernetes'");
	if (discover->kubernetes && schema_given(node, of_dns))
		reader_error(reader, node->where,
			     "'resolver', 'refresh' and 'hold' are for 'srv' and 'dns'");
	if (discover->dns.len &&
	    !value_host_port(discover->dns, &discover->host, &discover->port))
		reader_error(reader, node->where, "'dns' has no port");
	discover->srv = reader_lower(reader, discover->srv);
	discover->host = reader_lower(reader, discover->host);
}

const struct schema_object schema_discover = {
	.name = "discover",
	.size = sizeof(struct config_discover),
	.keys = discover_keys,
	.has_where = true,
	.finish = discover_finish,
};
