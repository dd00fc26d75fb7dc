#include "io/net_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

static bool copy_text(char *to, size_t size, struct span text)
{
	if (text.len == 0 || text.len >= size || span_find_byte(text, '\0') != text.len)
		return false;
	memcpy(to, text.ptr, text.len);
	to[text.len] = '\0';
	return true;
}

bool net_address_from_literal(struct net_address *address, struct span host, unsigned port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	char text[INET6_ADDRSTRLEN];

	if (!copy_text(text, sizeof(text), host))
		return false;
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
		*address = (struct net_address){.len = sizeof(v4)};
		memcpy(&address->storage, &v4, sizeof(v4));
		return true;
	}
	if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
		*address = (struct net_address){.len = sizeof(v6)};
		memcpy(&address->storage, &v6, sizeof(v6));
		return true;
	}
	return false;
}

static bool to_port(struct span text, unsigned lowest, unsigned *port)
{
	uint64_t value;

	if (!span_to_u64(text, &value) || value < lowest || value > 65535)
		return false;
	*port = (unsigned)value;
	return true;
}

static bool split(struct span text, unsigned lowest_port, struct span *host, unsigned *port)
{
	size_t end;

	if (text.len && text.ptr[0] == '[') {
		end = span_find_byte(text, ']');
		if (end + 1 >= text.len || text.ptr[end + 1] != ':')
			return false;
		*host = span_slice(text, 1, end);
		return host->len &&
		       to_port(span_slice(text, end + 2, text.len), lowest_port, port);
	}
	end = span_find_byte(text, ':');
	/* A second colon would be an IPv6 address without brackets: not clear where it ends. */
	if (end == 0 || end == text.len ||
	    !to_port(span_slice(text, end + 1, text.len), lowest_port, port))
		return false;
	*host = span_slice(text, 0, end);
	return true;
}

bool net_address_split(struct span text, struct span *host, unsigned *port)
{
	return split(text, 1, host, port);
}

int net_address_parse(struct net_address *address, struct span text, struct err *err)
{
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	struct span host;
	unsigned port;

	if (span_starts_with(text, SPAN("unix:"))) {
		if (!copy_text(local.sun_path, sizeof(local.sun_path),
			       span_slice(text, 5, text.len)))
			return err_set(err, ERR_SYNTAX, "not the path of a Unix socket: %.*s",
				       SPAN_ARG(text));
		*address = (struct net_address){.len = sizeof(local)};
		memcpy(&address->storage, &local, sizeof(local));
		return 0;
	}
	/* Port 0 lets the kernel choose one: tests listen so. */
	if (!split(text, 0, &host, &port) || !net_address_from_literal(address, host, port))
		return err_set(err, ERR_SYNTAX,
			       "not an address with port (\"192.0.2.1:80\", \"[::1]:80\") or "
			       "\"unix:path\": %.*s",
			       SPAN_ARG(text));
	return 0;
}

static struct span format_ip(int family, const void *bytes, unsigned port, bool with_port,
			     char to[NET_ADDRESS_TEXT_MAX])
{
	char text[INET6_ADDRSTRLEN];
	int len;

	if (!inet_ntop(family, bytes, text, sizeof(text)))
		return SPAN("unknown");
	if (!with_port)
		len = snprintf(to, NET_ADDRESS_TEXT_MAX, "%s", text);
	else if (family == AF_INET)
		len = snprintf(to, NET_ADDRESS_TEXT_MAX, "%s:%u", text, port);
	else
		len = snprintf(to, NET_ADDRESS_TEXT_MAX, "[%s]:%u", text, port);
	return span_of(to, (size_t)len);
}

struct span net_address_format(const struct sockaddr_storage *address, bool with_port,
			       char to[NET_ADDRESS_TEXT_MAX])
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;

	switch (address->ss_family) {
	case AF_INET:
		memcpy(&v4, address, sizeof(v4));
		return format_ip(AF_INET, &v4.sin_addr, ntohs(v4.sin_port), with_port, to);
	case AF_INET6:
		memcpy(&v6, address, sizeof(v6));
		if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
			return format_ip(AF_INET, &v6.sin6_addr.s6_addr[12],
					 ntohs(v6.sin6_port), with_port, to);
		return format_ip(AF_INET6, &v6.sin6_addr, ntohs(v6.sin6_port), with_port, to);
	case AF_UNIX:
		memcpy(&local, address, sizeof(local));
		return span_of(to,
			       (size_t)snprintf(to, NET_ADDRESS_TEXT_MAX, "unix:%.*s",
						(int)sizeof(local.sun_path), local.sun_path));
	default: return SPAN("unknown");
	}
}

unsigned net_address_port(const struct sockaddr_storage *address)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (address->ss_family == AF_INET) {
		memcpy(&v4, address, sizeof(v4));
		return ntohs(v4.sin_port);
	}
	if (address->ss_family == AF_INET6) {
		memcpy(&v6, address, sizeof(v6));
		return ntohs(v6.sin6_port);
	}
	return 0;
}

void net_address_set_port(struct net_address *address, unsigned port)
{
	in_port_t wire = htons((uint16_t)port);
	char *bytes = (char *)&address->storage;

	if (address->storage.ss_family == AF_INET)
		memcpy(bytes + offsetof(struct sockaddr_in, sin_port), &wire, sizeof(wire));
	else if (address->storage.ss_family == AF_INET6)
		memcpy(bytes + offsetof(struct sockaddr_in6, sin6_port), &wire, sizeof(wire));
}

bool net_address_eq(const struct net_address *a, const struct net_address *b)
{
	return a->len == b->len && memcmp(&a->storage, &b->storage, a->len) == 0;
}
