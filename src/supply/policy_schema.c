#include "config/schema_parts.h"
#include "parse/base64.h"
#include "supply/pattern.h"
#include "supply/policy.h"

const struct schema_name policy_severity_names[] = {
	{"none", FINDING_SEVERITIES},
	{"info", FINDING_INFO},
	{"low", FINDING_LOW},
	{"medium", FINDING_MEDIUM},
	{"high", FINDING_HIGH},
	{"critical", FINDING_CRITICAL},
	{NULL, 0},
};

static const struct schema_name action_names[] = {
	{"ignore", POLICY_IGNORE},
	{"warn", POLICY_WARN},
	{"fail", POLICY_FAIL},
	{NULL, 0},
};

static bool is_day(struct span text)
{
	uint64_t time;

	return text.len == 10 && value_time(text, &time);
}

static bool is_key(struct span text)
{
	unsigned char key[64];
	size_t len;

	return text.len == 44 && base64_decode(key, &len, text) && len == 32;
}

/* Of one or more lines. */
static bool is_text(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
			return false;
	}
	return span_trim(text).len > 0;
}

const struct schema_format policy_format_text = {"some text", is_text, false, NULL};
const struct schema_format policy_format_purl = {"a package URL or a pattern of one, such as "
						 "pkg:npm/event-stream or pkg:maven/org.acme/*",
						 pattern_purl_valid, false, "^pkg:[^/ ]+/"};
const struct schema_format policy_format_versions = {"versions such as >=1.2 <2 || 3.0.1",
						     pattern_versions_valid, false, NULL};
const struct schema_format policy_format_day = {"a day such as 2027-01-31", is_day, false,
						"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"};
const struct schema_format policy_format_key = {"a public key of Ed25519, 32 bytes in base64",
						is_key, false, "^[A-Za-z0-9+/]{43}=$"};

#define DAYS_MAX 3153600000000

#define LEVELS(structure, in, fail_, warn_)                                                    \
	{KEY("fail", ENUM, structure, in fail), .initial = (fail_),                            \
	 .names = policy_severity_names, .text = "What is this severe, or worse, fails."},     \
	{                                                                                      \
		KEY("warn", ENUM, structure, in warn),                                         \
			.initial = (warn_), .names = policy_severity_names,                    \
			.text = "What is this severe, or worse, is shown at least."            \
	}

static const struct schema_key level_keys[] = {
	LEVELS(policy_levels, , "low", "info"),
	{.name = NULL},
};

static const struct schema_object schema_levels = {
	.name = "levels",
	.size = sizeof(struct policy_levels),
	.keys = level_keys,
	.shorthand = "fail",
};

static const struct schema_key vulnerability_keys[] = {
	LEVELS(policy_vulnerabilities, levels., "low", "info"),
	{KEY("exploited", ENUM, policy_vulnerabilities, exploited), .initial = "fail",
	 .names = action_names,
	 .text = "What is known to be exploited is at least this, whatever its severity."},
	{KEY("unfixed", ENUM, policy_vulnerabilities, unfixed), .initial = "fail",
	 .names = action_names, .text = "What has no fixing version is at most this."},
	{KEY("development", ENUM, policy_vulnerabilities, development), .initial = "fail",
	 .names = action_names,
	 .text = "What concerns components for development only is at most this."},
	{KEY("unexposed", ENUM, policy_vulnerabilities, unexposed), .initial = "fail",
	 .names = action_names,
	 .text = "What concerns services that the gateway does not serve is at most this; only "
		 "where the gateway is known."},
	{KEY("epss", PERCENT, policy_vulnerabilities, epss_percent), .initial = "0%",
	 .text = "What is this likely to be exploited within 30 days fails; 0%: not asked."},
	{KEY("grace", DURATION, policy_vulnerabilities, grace_ms), .initial = "0",
	 .max = DAYS_MAX,
	 .text = "Advisories that are younger only warn, unless they are known to be "
		 "exploited."},
	{KEY("overdue", DURATION, policy_vulnerabilities, overdue_ms), .initial = "0",
	 .max = DAYS_MAX,
	 .text = "Advisories that are older, and have a fix, fail whatever their severity; 0: "
		 "no matter how old."},
	{.name = NULL},
};

static const struct schema_object schema_vulnerabilities = {
	.name = "vulnerabilities",
	.size = sizeof(struct policy_vulnerabilities),
	.keys = vulnerability_keys,
	.shorthand = "fail",
};

static const struct schema_key licence_keys[] = {
	{KEY("allow", TEXTS, policy_licences, allow), .format = &format_any,
	 .text = "SPDX licences that may be used, '*' at the end for all that begin so; none: "
		 "all that are not denied."},
	{KEY("deny", TEXTS, policy_licences, deny), .format = &format_any,
	 .text = "SPDX licences that may not be used, before what is allowed."},
	{KEY("denied", ENUM, policy_licences, denied), .initial = "fail", .names = action_names,
	 .text = "What a licence that may not be used is."},
	{KEY("unknown", ENUM, policy_licences, unknown), .initial = "ignore",
	 .names = action_names,
	 .text = "What a component is that declares no licence, or not as an SPDX expression."},
	{KEY("development", BOOL, policy_licences, development), .initial = "off",
	 .text = "Components for development only are looked at too."},
	{.name = NULL},
};

static const struct schema_object schema_licences = {
	.name = "licences",
	.size = sizeof(struct policy_licences),
	.keys = licence_keys,
};

static const struct schema_key denied_keys[] = {
	{KEY("purl", TEXT, policy_denied, purl), .flags = SCHEMA_REQUIRED,
	 .format = &policy_format_purl, .text = "Which component, with or without a version."},
	{KEY("versions", TEXT, policy_denied, versions), .format = &policy_format_versions,
	 .text = "Which of its versions; all without it."},
	{KEY("reason", TEXT, policy_denied, reason), .format = &policy_format_text,
	 .text = "Why, for those who find it in a report."},
	{KEY("instead", TEXT, policy_denied, instead), .format = &policy_format_text,
	 .text = "What to use in its place."},
	{KEY("action", ENUM, policy_denied, action), .initial = "fail", .names = action_names,
	 .text = "What it is."},
	{.name = NULL},
};

static const struct schema_object schema_denied = {
	.name = "denied",
	.size = sizeof(struct policy_denied),
	.keys = denied_keys,
	.shorthand = "purl",
	.has_where = true,
};

static const struct schema_key component_keys[] = {
	{KEY("deny", LIST, policy_components, deny), .flags = SCHEMA_ONE_OR_LIST,
	 .object = &schema_denied, .text = "Components that may not be used."},
	{KEY("min_age", DURATION, policy_components, min_age_ms), .initial = "0",
	 .max = DAYS_MAX,
	 .text = "Releases that are younger are reported, where the lock file tells when they "
		 "were made; 0: never."},
	{KEY("max_age", DURATION, policy_components, max_age_ms), .initial = "0",
	 .max = DAYS_MAX, .text = "Releases that are older; 0: never."},
	{KEY("age", ENUM, policy_components, age), .initial = "fail", .names = action_names,
	 .text = "What a release is that is too young or too old."},
	{.name = NULL},
};

static const struct schema_object schema_components = {
	.name = "components",
	.size = sizeof(struct policy_components),
	.keys = component_keys,
};

static const struct schema_key database_keys[] = {
	{KEY("max_age", DURATION, policy_database, max_age_ms), .initial = "7d",
	 .max = DAYS_MAX, .text = "An advisory database that was made longer ago is stale."},
	{KEY("stale", ENUM, policy_database, stale), .initial = "warn", .names = action_names,
	 .text = "What a stale database is."},
	{.name = NULL},
};

static const struct schema_object schema_database = {
	.name = "database",
	.size = sizeof(struct policy_database),
	.keys = database_keys,
	.shorthand = "max_age",
};

static const struct schema_key label_keys[] = {
	{KEY("required", TEXTS, policy_labels, required), .format = &format_any,
	 .text = "Labels that images must have."},
	{KEY("missing", ENUM, policy_labels, missing), .initial = "fail", .names = action_names,
	 .text = "What an image without them is."},
	{.name = NULL},
};

static const struct schema_object schema_labels = {
	.name = "labels",
	.size = sizeof(struct policy_labels),
	.keys = label_keys,
};

static const struct schema_key exception_keys[] = {
	{KEY("id", TEXT, policy_exception, id), .flags = SCHEMA_REQUIRED, .format = &format_any,
	 .text = "Of an advisory (or one of its aliases) or a rule."},
	{KEY("component", TEXT, policy_exception, scope.component),
	 .format = &policy_format_purl, .text = "Only of this component."},
	{KEY("versions", TEXT, policy_exception, scope.versions),
	 .format = &policy_format_versions, .text = "Only of these versions of it."},
	{KEY("path", TEXT, policy_exception, scope.path), .format = &format_any,
	 .text = "Only in this file, in files below this folder, or of this pattern (*, **, "
		 "?)."},
	{KEY("service", TEXT, policy_exception, scope.service), .format = &format_name,
	 .text = "Only of this service."},
	{KEY("reason", TEXT, policy_exception, reason), .flags = SCHEMA_REQUIRED,
	 .format = &policy_format_text, .text = "Why."},
	{KEY("until", TEXT, policy_exception, until), .format = &policy_format_day,
	 .text = "The last day on which it holds."},
	{.name = NULL},
};

static const struct schema_object schema_exception = {
	.name = "exception",
	.size = sizeof(struct policy_exception),
	.keys = exception_keys,
	.has_where = true,
};

static const struct schema_key champion_keys[] = {
	{KEY("name", TEXT, policy_champion, name), .flags = SCHEMA_REQUIRED,
	 .format = &format_name, .text = "As waivers call them."},
	{KEY("key", TEXT, policy_champion, key), .flags = SCHEMA_REQUIRED,
	 .format = &policy_format_key,
	 .text = "Their public key, as `sallyport policy waiver key` prints it."},
	{.name = NULL},
};

static const struct schema_object schema_champion = {
	.name = "champion",
	.size = sizeof(struct policy_champion),
	.keys = champion_keys,
	.has_where = true,
};

static const struct schema_key file_keys[] = {
	{KEY("file", FILE, policy_file, file), .flags = SCHEMA_REQUIRED,
	 .text = "Its name, from the folder of the policy."},
	{.name = NULL},
};

static const struct schema_object schema_file = {
	.name = "file",
	.size = sizeof(struct policy_file),
	.keys = file_keys,
	.shorthand = "file",
};

static const struct schema_key service_keys[] = {
	{KEY("name", TEXT, policy_service, name), .flags = SCHEMA_REQUIRED,
	 .format = &format_name, .text = "As the gateway's configuration calls it."},
	{KEY("paths", TEXTS, policy_service, paths), .format = &format_any,
	 .text = "Files and folders of its source, or patterns of them."},
	{KEY("images", TEXTS, policy_service, images), .format = &format_any,
	 .text = "Its images, by name or pattern."},
	{.name = NULL},
};

static const struct schema_object schema_policy_service = {
	.name = "service",
	.size = sizeof(struct policy_service),
	.keys = service_keys,
	.has_where = true,
	.name_offset = offsetof(struct policy_service, name),
};

static const struct schema_key policy_keys[] = {
	{KEY("vulnerabilities", OBJECT, policy, vulnerabilities),
	 .object = &schema_vulnerabilities, .text = "Known vulnerabilities."},
	{KEY("misconfigurations", OBJECT, policy, misconfigurations), .object = &schema_levels,
	 .text = "What the rules find."},
	{KEY("secrets", OBJECT, policy, secrets), .object = &schema_levels,
	 .text = "Secrets in files."},
	{KEY("imported", OBJECT, policy, imported), .object = &schema_levels,
	 .text = "What other tools have found (--import)."},
	{KEY("licences", OBJECT, policy, licences), .object = &schema_licences,
	 .text = "Licences of components."},
	{KEY("components", OBJECT, policy, components), .object = &schema_components,
	 .text = "Components that are denied, too young or too old."},
	{KEY("database", OBJECT, policy, database), .object = &schema_database,
	 .text = "The age of the advisory database."},
	{KEY("labels", OBJECT, policy, labels), .object = &schema_labels,
	 .text = "Labels of images."},
	{KEY("exceptions", LIST, policy, exceptions), .object = &schema_exception,
	 .text = "What is not to be reported, as those who keep this file have decided."},
	{KEY("champions", LIST, policy, champions), .object = &schema_champion,
	 .text = "Security champions, whose signatures make waivers count."},
	{KEY("waivers", LIST, policy, waivers), .flags = SCHEMA_ONE_OR_LIST,
	 .object = &schema_file, .text = "Files of waivers."},
	{KEY("vex", LIST, policy, vex), .flags = SCHEMA_ONE_OR_LIST, .object = &schema_file,
	 .text = "OpenVEX documents."},
	{KEY("services", LIST, policy, services), .object = &schema_policy_service,
	 .text = "Which files and images are whose."},
	{.name = NULL},
};

static void finish(struct reader *reader, const struct tree_node *node, void *object)
{
	struct policy *policy = object;

	(void)node;
	for (size_t i = 0; i < policy->champions.count; i++)
		for (size_t j = 0; j < i; j++)
			if (span_eq(policy->champions.at[i].name, policy->champions.at[j].name))
				reader_error(reader, policy->champions.at[i].where,
					     "a champion of this name is listed already");
	for (size_t i = 0; i < policy->services.count; i++) {
		const struct policy_service *service = &policy->services.at[i];

		if (service->paths.count == 0 && service->images.count == 0)
			reader_error(reader, service->where,
				     "the service has neither 'paths' nor 'images'");
	}
	for (size_t i = 0; i < policy->exceptions.count; i++) {
		const struct policy_exception *e = &policy->exceptions.at[i];

		if (e->scope.versions.len && !e->scope.component.len)
			reader_error(reader, e->where, "'versions' of what? give 'component'");
	}
}

const struct schema_object policy_schema = {
	.name = "policy",
	.size = sizeof(struct policy),
	.keys = policy_keys,
	.finish = finish,
};
