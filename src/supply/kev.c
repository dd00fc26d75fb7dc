#include "supply/kev.h"

#include "parse/json.h"

static struct span text_of(const struct json *object, struct span key)
{
	struct span text = SPAN_NONE;

	(void)json_string(json_get(object, key), &text);
	return text;
}

bool kev_is_catalogue(const struct json *document)
{
	return json_at(json_get(document, SPAN("vulnerabilities")), 0) &&
	       json_get(document, SPAN("catalogVersion"));
}

int64_t kev_day_s(const struct json *document)
{
	return osv_time_s(text_of(document, SPAN("dateReleased")));
}

int kev_entry(const struct json *document, size_t index, struct db_kev *entry)
{
	const struct json *item = json_at(json_get(document, SPAN("vulnerabilities")), index);

	if (!item)
		return 0;
	*entry = (struct db_kev){
		.cve = db_cve(text_of(item, SPAN("cveID"))),
		.added_s = osv_time_s(text_of(item, SPAN("dateAdded"))),
		.due_s = osv_time_s(text_of(item, SPAN("dueDate"))),
		.ransomware = json_is(json_get(item, SPAN("knownRansomwareCampaignUse")),
				      SPAN("Known")),
	};
	return entry->cve ? 1 : -1;
}
