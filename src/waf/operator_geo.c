#include "waf/operator_geo.h"

#include "base/mem.h"
#include "parse/address.h"

#ifdef HAVE_MAXMINDDB
#include <arpa/inet.h>
#include <maxminddb.h>
#include <netinet/in.h>

struct geo_db {
	MMDB_s file;
};

struct geo_db *geo_open(const char *path, struct err *err)
{
	struct geo_db *db = mem_zalloc(1, sizeof(*db));
	int result;

	if (!db) {
		err_set(err, ERR_MEMORY, "out of memory for %s", path);
		return NULL;
	}
	result = MMDB_open(path, MMDB_MODE_MMAP, &db->file);
	if (result != MMDB_SUCCESS) {
		err_set(err, ERR_INVALID, "%s: %s", path, MMDB_strerror(result));
		mem_free(db);
		return NULL;
	}
	return db;
}

void geo_close(struct geo_db *db)
{
	if (!db)
		return;
	MMDB_close(&db->file);
	mem_free(db);
}

static struct span text_at(MMDB_entry_s *entry, const char *const *path)
{
	MMDB_entry_data_s data;

	if (MMDB_aget_value(entry, &data, path) != MMDB_SUCCESS || !data.has_data ||
	    data.type != MMDB_DATA_TYPE_UTF8_STRING)
		return SPAN_NONE;
	return span_of(data.utf8_string, data.data_size);
}

static struct span number_at(MMDB_entry_s *entry, const char *const *path, char *to,
			     size_t size)
{
	MMDB_entry_data_s data;
	int len;

	if (MMDB_aget_value(entry, &data, path) != MMDB_SUCCESS || !data.has_data ||
	    data.type != MMDB_DATA_TYPE_DOUBLE)
		return SPAN_NONE;
	len = snprintf(to, size, "%f", data.double_value);
	return len > 0 && (size_t)len < size ? span_of(to, (size_t)len) : SPAN_NONE;
}

#define PATH(...) ((const char *const[]){__VA_ARGS__, NULL})

bool geo_lookup(const struct geo_db *db, struct span address, struct geo_record *record)
{
	struct address parsed;
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	const struct sockaddr *socket_address = (const struct sockaddr *)(const void *)&v6;
	MMDB_lookup_result_s found;
	MMDB_entry_s *entry = &found.entry;
	int error;

	if (!address_parse(address, &parsed))
		return false;
	if (address_is_ipv4(&parsed)) {
		memcpy(&v4.sin_addr, parsed.bytes + 12, 4);
		socket_address = (const struct sockaddr *)(const void *)&v4;
	} else {
		memcpy(&v6.sin6_addr, parsed.bytes, 16);
	}
	found = MMDB_lookup_sockaddr(&db->file, socket_address, &error);
	if (error != MMDB_SUCCESS || !found.found_entry)
		return false;
	if (!record)
		return true;
	record->country_code = text_at(entry, PATH("country", "iso_code"));
	record->country_name = text_at(entry, PATH("country", "names", "en"));
	record->country_continent = text_at(entry, PATH("continent", "names", "en"));
	record->city = text_at(entry, PATH("city", "names", "en"));
	record->postal_code = text_at(entry, PATH("postal", "code"));
	record->latitude = number_at(entry, PATH("location", "latitude"), record->digits, 32);
	record->longitude =
		number_at(entry, PATH("location", "longitude"), record->digits + 32, 32);
	return true;
}

#else

struct geo_db *geo_open(const char *path, struct err *err)
{
	err_set(err, ERR_UNAVAILABLE, "%s: built without libmaxminddb", path);
	return NULL;
}

void geo_close(struct geo_db *db)
{
	(void)db;
}

bool geo_lookup(const struct geo_db *db, struct span address, struct geo_record *record)
{
	(void)db;
	(void)address;
	(void)record;
	return false;
}
#endif
