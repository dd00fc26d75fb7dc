#include "base/compiler.h"
#include "base/mem.h"
#include "waf/seclang.h"

struct call {
	struct sec_document *document;
	struct sec_place place;
	struct span name;
	const struct span *arguments;
	size_t count;
	struct err *err;
};

typedef int directive_fn(struct call *c);

static int no_memory(struct call *c)
{
	return err_set(c->err, ERR_MEMORY, "no memory for rules");
}

/* ---- rules ----------------------------------------------------------------------------------- */

/* Hangs the rule behind the chain that is open, or at the end of the list. */
static int add_rule(struct call *c, struct sec_rule *rule)
{
	struct sec_document *d = c->document;

	d->rule_count++;
	if (d->open_chain) {
		if (rule->kind == SEC_MARKER)
			return err_set(c->err, ERR_SYNTAX, "a marker inside of a chain");
		if (rule->actions.disruptive != SEC_NOT_DISRUPTIVE &&
		    rule->actions.disruptive != SEC_PASS &&
		    rule->actions.disruptive != SEC_BLOCK)
			return err_set(c->err, ERR_INVALID,
				       "only the first rule of a chain may be disruptive");
		d->open_chain->link = rule;
	} else {
		*d->rules_end = rule;
		d->rules_end = &rule->next;
	}
	d->open_chain = rule->actions.chain ? rule : NULL;
	return 0;
}

static struct sec_rule *new_rule(struct call *c, enum sec_kind kind)
{
	struct sec_rule *rule = arena_new(&c->document->arena, struct sec_rule);

	if (!rule) {
		no_memory(c);
		return NULL;
	}
	rule->kind = kind;
	rule->place = c->place;
	rule->observe = c->document->observe;
	sec_actions_init(&rule->actions);
	return rule;
}

static int check_id(struct call *c, const struct sec_rule *rule)
{
	/* Links of a chain share the id of the first. */
	if (!c->document->open_chain && rule->actions.id == 0)
		return err_set(c->err, ERR_SYNTAX, "the rule has no id");
	return 0;
}

static int sec_rule(struct call *c)
{
	struct sec_rule *rule;

	if (c->count < 2 || c->count > 3)
		return err_set(c->err, ERR_SYNTAX,
			       "SecRule takes VARIABLES OPERATOR [ACTIONS]");
	rule = new_rule(c, SEC_RULE);
	if (!rule)
		return -1;
	if (sec_targets_parse(&c->document->arena, c->arguments[0], &rule->targets, c->err) !=
		    0 ||
	    operator_text_parse(c->arguments[1], &rule->operator_text, c->err) != 0)
		return -1;
	if (c->count == 3 && sec_actions_parse(&c->document->arena, c->arguments[2],
					       &rule->actions, c->err) != 0)
		return -1;
	if (check_id(c, rule) != 0)
		return -1;
	return add_rule(c, rule);
}

static int sec_action(struct call *c)
{
	struct sec_rule *rule;

	if (c->count != 1)
		return err_set(c->err, ERR_SYNTAX, "SecAction takes ACTIONS");
	rule = new_rule(c, SEC_ACTION);
	if (!rule || sec_actions_parse(&c->document->arena, c->arguments[0], &rule->actions,
				       c->err) != 0)
		return -1;
	if (check_id(c, rule) != 0)
		return -1;
	return add_rule(c, rule);
}

static int sec_marker(struct call *c)
{
	struct sec_rule *rule;

	if (c->count != 1)
		return err_set(c->err, ERR_SYNTAX, "SecMarker takes a name");
	rule = new_rule(c, SEC_MARKER);
	if (!rule)
		return -1;
	rule->marker = c->arguments[0];
	return add_rule(c, rule);
}

static int sec_default_action(struct call *c)
{
	struct sec_actions actions;
	unsigned phase;

	if (c->count != 1)
		return err_set(c->err, ERR_SYNTAX, "SecDefaultAction takes ACTIONS");
	sec_actions_init(&actions);
	if (sec_actions_parse(&c->document->arena, c->arguments[0], &actions, c->err) != 0)
		return -1;
	if (actions.id || actions.chain || actions.skip || actions.skip_after.len)
		return err_set(c->err, ERR_INVALID,
			       "id, chain, skip and skipAfter have no place here");
	if (actions.disruptive == SEC_BLOCK)
		return err_set(c->err, ERR_INVALID, "block means what this directive says");
	phase = actions.phase ? actions.phase : 2;
	c->document->defaults[phase] = actions;
	c->document->has_defaults[phase] = true;
	return 0;
}

/* ---- changes to other rules ------------------------------------------------------------------ */

static struct sec_change *new_change(struct call *c, enum sec_change_kind kind,
				     enum sec_criterion criterion)
{
	struct sec_change *change = arena_new(&c->document->arena, struct sec_change);

	if (!change) {
		no_memory(c);
		return NULL;
	}
	change->place = c->place;
	change->kind = kind;
	change->criterion = criterion;
	sec_actions_init(&change->actions);
	*c->document->changes_end = change;
	c->document->changes_end = &change->next;
	return change;
}

static int remove_by_id(struct call *c)
{
	if (c->count == 0)
		return err_set(c->err, ERR_SYNTAX, "SecRuleRemoveById takes ids");
	for (size_t i = 0; i < c->count; i++) {
		for (struct span rest = c->arguments[i]; rest.ptr;) {
			struct span id = span_trim(span_cut(&rest, ' '));
			struct sec_change *change;

			if (id.len == 0)
				continue;
			change = new_change(c, SEC_REMOVE, SEC_BY_ID);
			if (!change)
				return -1;
			if (!sec_id_range(id, &change->first, &change->last))
				return err_set(c->err, ERR_SYNTAX, "not a rule id: %.*s",
					       SPAN_ARG(id));
		}
	}
	return 0;
}

static int remove_by_text(struct call *c, enum sec_criterion criterion)
{
	struct sec_change *change;

	if (c->count != 1)
		return err_set(c->err, ERR_SYNTAX, "%.*s takes one text", SPAN_ARG(c->name));
	change = new_change(c, SEC_REMOVE, criterion);
	if (!change)
		return -1;
	change->text = c->arguments[0];
	return 0;
}

static int remove_by_tag(struct call *c)
{
	return remove_by_text(c, SEC_BY_TAG);
}

static int remove_by_msg(struct call *c)
{
	return remove_by_text(c, SEC_BY_MSG);
}

static int update_target(struct call *c, enum sec_criterion criterion)
{
	struct sec_change *change;
	struct span list;

	if (c->count == 3)
		return err_set(
			c->err, ERR_INVALID,
			"replacing variables is not supported: exclude one, add the other");
	if (c->count != 2)
		return err_set(c->err, ERR_SYNTAX, "%.*s takes WHICH VARIABLES",
			       SPAN_ARG(c->name));
	change = new_change(c, SEC_UPDATE_TARGETS, criterion);
	if (!change)
		return -1;
	change->text = c->arguments[0];
	if (criterion == SEC_BY_ID &&
	    !sec_id_range(c->arguments[0], &change->first, &change->last))
		return err_set(c->err, ERR_SYNTAX, "not a rule id: %.*s",
			       SPAN_ARG(c->arguments[0]));
	list = arena_dup(&c->document->arena, c->arguments[1]);
	if (!list.ptr)
		return no_memory(c);
	/* ModSecurity 2 separates with commas here. */
	return sec_targets_parse(&c->document->arena, list, &change->targets, c->err);
}

static int update_target_by_id(struct call *c)
{
	return update_target(c, SEC_BY_ID);
}

static int update_target_by_tag(struct call *c)
{
	return update_target(c, SEC_BY_TAG);
}

static int update_target_by_msg(struct call *c)
{
	return update_target(c, SEC_BY_MSG);
}

static int update_action_by_id(struct call *c)
{
	struct sec_change *change;

	if (c->count != 2)
		return err_set(c->err, ERR_SYNTAX, "SecRuleUpdateActionById takes ID ACTIONS");
	change = new_change(c, SEC_UPDATE_ACTIONS, SEC_BY_ID);
	if (!change)
		return -1;
	if (span_find_byte(c->arguments[0], ':') < c->arguments[0].len)
		return err_set(
			c->err, ERR_INVALID,
			"a single link of a chain cannot be changed: ModSecurity 3 does not "
			"read what stands behind the colon, and takes the id alone");
	if (!sec_id_range(c->arguments[0], &change->first, &change->last))
		return err_set(c->err, ERR_SYNTAX, "not a rule id: %.*s",
			       SPAN_ARG(c->arguments[0]));
	if (sec_actions_parse(&c->document->arena, c->arguments[1], &change->actions, c->err) !=
	    0)
		return -1;
	if (change->actions.id || change->actions.chain || change->actions.phase)
		return err_set(c->err, ERR_INVALID, "id, chain and phase cannot be changed");
	return 0;
}

/* ---- settings -------------------------------------------------------------------------------- */

static int one_argument(struct call *c)
{
	if (c->count != 1)
		return err_set(c->err, ERR_SYNTAX, "%.*s takes one value", SPAN_ARG(c->name));
	return 0;
}

static int set_switch(struct call *c, bool *to)
{
	if (one_argument(c) != 0)
		return -1;
	if (span_eq_nocase(c->arguments[0], SPAN("On")))
		*to = true;
	else if (span_eq_nocase(c->arguments[0], SPAN("Off")))
		*to = false;
	else
		return err_set(c->err, ERR_SYNTAX, "neither On nor Off: %.*s",
			       SPAN_ARG(c->arguments[0]));
	return 0;
}

static int set_number(struct call *c, uint64_t max, uint64_t *to)
{
	if (one_argument(c) != 0)
		return -1;
	if (!span_to_u64(c->arguments[0], to) || *to > max)
		return err_set(c->err, ERR_SYNTAX, "not a number up to %llu: %.*s",
			       (unsigned long long)max, SPAN_ARG(c->arguments[0]));
	return 0;
}

static int set_u32(struct call *c, uint32_t *to)
{
	uint64_t value;

	if (set_number(c, UINT32_MAX, &value) != 0)
		return -1;
	*to = (uint32_t)value;
	return 0;
}

static int set_limit_action(struct call *c, bool *reject)
{
	if (one_argument(c) != 0)
		return -1;
	if (span_eq_nocase(c->arguments[0], SPAN("Reject")))
		*reject = true;
	else if (span_eq_nocase(c->arguments[0], SPAN("ProcessPartial")))
		*reject = false;
	else
		return err_set(c->err, ERR_SYNTAX, "neither Reject nor ProcessPartial: %.*s",
			       SPAN_ARG(c->arguments[0]));
	return 0;
}

static int rule_engine(struct call *c)
{
	bool on;

	if (c->count == 1 && span_eq_nocase(c->arguments[0], SPAN("DetectionOnly"))) {
		c->document->settings.engine = SEC_ENGINE_DETECT;
		return 0;
	}
	if (set_switch(c, &on) != 0)
		return -1;
	c->document->settings.engine = on ? SEC_ENGINE_ON : SEC_ENGINE_OFF;
	return 0;
}

static int request_body_access(struct call *c)
{
	return set_switch(c, &c->document->settings.request_body);
}

static int response_body_access(struct call *c)
{
	return set_switch(c, &c->document->settings.response_body);
}

static int request_body_limit(struct call *c)
{
	return set_number(c, SIZE_MAX / 2, &c->document->settings.request_body_limit);
}

static int request_no_files_limit(struct call *c)
{
	return set_number(c, SIZE_MAX / 2, &c->document->settings.request_no_files_limit);
}

static int response_body_limit(struct call *c)
{
	return set_number(c, SIZE_MAX / 2, &c->document->settings.response_body_limit);
}

static int request_limit_action(struct call *c)
{
	return set_limit_action(c, &c->document->settings.reject_large_request);
}

static int response_limit_action(struct call *c)
{
	return set_limit_action(c, &c->document->settings.reject_large_response);
}

static int json_depth(struct call *c)
{
	return set_u32(c, &c->document->settings.json_depth);
}

static int arguments_limit(struct call *c)
{
	return set_u32(c, &c->document->settings.arguments);
}

static int upload_file_limit(struct call *c)
{
	return set_u32(c, &c->document->settings.upload_files);
}

static int collection_timeout(struct call *c)
{
	return set_u32(c, &c->document->settings.collection_timeout_s);
}

static int web_app_id(struct call *c)
{
	if (one_argument(c) != 0)
		return -1;
	c->document->settings.web_app_id = c->arguments[0];
	return 0;
}

static int httpbl_key(struct call *c)
{
	if (one_argument(c) != 0)
		return -1;
	c->document->settings.httpbl_key = c->arguments[0];
	return 0;
}

static int keep_files(struct call *c)
{
	if (c->count == 1 && span_eq_nocase(c->arguments[0], SPAN("RelevantOnly")))
		return 0;
	return set_switch(c, &c->document->settings.keep_files);
}

static int argument_separator(struct call *c)
{
	if (one_argument(c) != 0)
		return -1;
	if (c->arguments[0].len != 1)
		return err_set(c->err, ERR_SYNTAX, "the separator is one character");
	c->document->settings.argument_separator = c->arguments[0].ptr[0];
	return 0;
}

static int unicode_map_file(struct call *c)
{
	uint64_t page = 0;

	if (c->count < 1 || c->count > 2)
		return err_set(c->err, ERR_SYNTAX, "SecUnicodeMapFile takes FILE CODE-PAGE");
	if (c->count == 2 && (!span_to_u64(c->arguments[1], &page) || page > 65535))
		return err_set(c->err, ERR_SYNTAX, "not a code page: %.*s",
			       SPAN_ARG(c->arguments[1]));
	c->document->settings.unicode_map =
		sec_resolve_path(&c->document->arena, c->place.file, c->arguments[0]);
	c->document->settings.unicode_code_page = (unsigned)page;
	return c->document->settings.unicode_map.ptr ? 0 : no_memory(c);
}

static int geo_lookup_db(struct call *c)
{
	if (one_argument(c) != 0)
		return -1;
	c->document->settings.geo_database =
		sec_resolve_path(&c->document->arena, c->place.file, c->arguments[0]);
	return c->document->settings.geo_database.ptr ? 0 : no_memory(c);
}

static int mime_types(struct call *c)
{
	struct sec_settings *s = &c->document->settings;
	struct span *all = arena_array(&c->document->arena, struct span,
				       s->mime_type_count + c->count + 1);

	if (!all)
		return no_memory(c);
	for (size_t i = 0; i < s->mime_type_count; i++)
		all[i] = s->mime_types[i];
	for (size_t i = 0; i < c->count; i++)
		all[s->mime_type_count + i] = c->arguments[i];
	s->mime_types = all;
	s->mime_type_count += c->count;
	return 0;
}

static int mime_types_clear(struct call *c)
{
	c->document->settings.mime_type_count = 0;
	return 0;
}

static int cookie_format(struct call *c)
{
	if (one_argument(c) != 0)
		return -1;
	if (!span_eq(c->arguments[0], SPAN("0")))
		return err_set(c->err, ERR_INVALID, "only cookies of version 0 are understood");
	return 0;
}

static int xml_external_entity(struct call *c)
{
	bool on;

	if (set_switch(c, &on) != 0)
		return -1;
	if (on)
		return err_set(c->err, ERR_INVALID, "external entities are never read");
	return 0;
}

/* ---- the table ------------------------------------------------------------------------------- */

static const char log_is_ours[] = "log and audit log are the gateway's own";
static const char pcre_limits[] = "the limits of pattern matching are fixed";
static const char no_files[] = "uploads are never written to files";

static const struct {
	struct span name;
	directive_fn *handle; /* NULL: ignored, or refused */
	const char *ignored; /* why it may be passed over */
	const char *refused;
} directives[] = {
	{SPAN_INIT("SecAction"), sec_action, NULL, NULL},
	{SPAN_INIT("SecArgumentSeparator"), argument_separator, NULL, NULL},
	{SPAN_INIT("SecArgumentsLimit"), arguments_limit, NULL, NULL},
	{SPAN_INIT("SecAuditEngine"), NULL, log_is_ours, NULL},
	{SPAN_INIT("SecAuditLog"), NULL, log_is_ours, NULL},
	{SPAN_INIT("SecAuditLog2"), NULL, log_is_ours, NULL},
	{SPAN_INIT("SecAuditLogDirMode"), NULL, log_is_ours, NULL},
	{SPAN_INIT("SecAuditLogFileMode"), NULL, log_is_ours, NULL},
	{SPAN_INIT("SecAuditLogFormat"), NULL, log_is_ours, NULL},
	{SPAN_INIT("SecAuditLogParts"), NULL, log_is_ours, NULL},
	{SPAN_INIT("SecAuditLogRelevantStatus"), NULL, log_is_ours, NULL},
	{SPAN_INIT("SecAuditLogStorageDir"), NULL, log_is_ours, NULL},
	{SPAN_INIT("SecAuditLogType"), NULL, log_is_ours, NULL},
	{SPAN_INIT("SecCacheTransformations"), NULL, "transformations are always cached", NULL},
	{SPAN_INIT("SecChrootDir"), NULL, NULL, "the gateway confines itself"},
	{SPAN_INIT("SecCollectionTimeout"), collection_timeout, NULL, NULL},
	{SPAN_INIT("SecComponentSignature"), NULL, "nothing reports it", NULL},
	{SPAN_INIT("SecConnEngine"), NULL, NULL, "use the limits of the gateway"},
	{SPAN_INIT("SecConnReadStateLimit"), NULL, NULL, "use the limits of the gateway"},
	{SPAN_INIT("SecConnWriteStateLimit"), NULL, NULL, "use the limits of the gateway"},
	{SPAN_INIT("SecContentInjection"), NULL, NULL, "responses are not written to"},
	{SPAN_INIT("SecCookieFormat"), cookie_format, NULL, NULL},
	{SPAN_INIT("SecCookieV0Separator"), NULL, NULL, "cookies are separated by semicolons"},
	{SPAN_INIT("SecDataDir"), NULL, "collections are in memory", NULL},
	{SPAN_INIT("SecDebugLog"), NULL, log_is_ours, NULL},
	{SPAN_INIT("SecDebugLogLevel"), NULL, log_is_ours, NULL},
	{SPAN_INIT("SecDefaultAction"), sec_default_action, NULL, NULL},
	{SPAN_INIT("SecDisableBackendCompression"), NULL, NULL, "set it at the route"},
	{SPAN_INIT("SecGeoLookupDb"), geo_lookup_db, NULL, NULL},
	{SPAN_INIT("SecGsbLookupDb"), NULL, NULL, "there is no such service any more"},
	{SPAN_INIT("SecGuardianLog"), NULL, NULL, "there is no such program"},
	{SPAN_INIT("SecHashEngine"), NULL, NULL, "responses are not written to"},
	{SPAN_INIT("SecHashKey"), NULL, NULL, "responses are not written to"},
	{SPAN_INIT("SecHashMethodPm"), NULL, NULL, "responses are not written to"},
	{SPAN_INIT("SecHashMethodRx"), NULL, NULL, "responses are not written to"},
	{SPAN_INIT("SecHashParam"), NULL, NULL, "responses are not written to"},
	{SPAN_INIT("SecHttpBlKey"), httpbl_key, NULL, NULL},
	{SPAN_INIT("SecInterceptOnError"), NULL, NULL, "errors always fail closed"},
	{SPAN_INIT("SecMarker"), sec_marker, NULL, NULL},
	{SPAN_INIT("SecPcreMatchLimit"), NULL, pcre_limits, NULL},
	{SPAN_INIT("SecPcreMatchLimitRecursion"), NULL, pcre_limits, NULL},
	{SPAN_INIT("SecRemoteRules"), NULL, NULL, "rules are read from files"},
	{SPAN_INIT("SecRemoteRulesFailAction"), NULL, NULL, "rules are read from files"},
	{SPAN_INIT("SecRequestBodyAccess"), request_body_access, NULL, NULL},
	{SPAN_INIT("SecRequestBodyInMemoryLimit"), NULL, "bodies are in memory", NULL},
	{SPAN_INIT("SecRequestBodyJsonDepthLimit"), json_depth, NULL, NULL},
	{SPAN_INIT("SecRequestBodyLimit"), request_body_limit, NULL, NULL},
	{SPAN_INIT("SecRequestBodyLimitAction"), request_limit_action, NULL, NULL},
	{SPAN_INIT("SecRequestBodyNoFilesLimit"), request_no_files_limit, NULL, NULL},
	{SPAN_INIT("SecResponseBodyAccess"), response_body_access, NULL, NULL},
	{SPAN_INIT("SecResponseBodyLimit"), response_body_limit, NULL, NULL},
	{SPAN_INIT("SecResponseBodyLimitAction"), response_limit_action, NULL, NULL},
	{SPAN_INIT("SecResponseBodyMimeType"), mime_types, NULL, NULL},
	{SPAN_INIT("SecResponseBodyMimeTypesClear"), mime_types_clear, NULL, NULL},
	{SPAN_INIT("SecRule"), sec_rule, NULL, NULL},
	{SPAN_INIT("SecRuleEngine"), rule_engine, NULL, NULL},
	{SPAN_INIT("SecRuleInheritance"), NULL, NULL, "each policy names its rules"},
	{SPAN_INIT("SecRulePerfTime"), NULL, NULL, "there are no performance counters"},
	{SPAN_INIT("SecRuleRemoveById"), remove_by_id, NULL, NULL},
	{SPAN_INIT("SecRuleRemoveByMsg"), remove_by_msg, NULL, NULL},
	{SPAN_INIT("SecRuleRemoveByTag"), remove_by_tag, NULL, NULL},
	{SPAN_INIT("SecRuleScript"), NULL, NULL, "Lua is not run"},
	{SPAN_INIT("SecRuleUpdateActionById"), update_action_by_id, NULL, NULL},
	{SPAN_INIT("SecRuleUpdateTargetById"), update_target_by_id, NULL, NULL},
	{SPAN_INIT("SecRuleUpdateTargetByMsg"), update_target_by_msg, NULL, NULL},
	{SPAN_INIT("SecRuleUpdateTargetByTag"), update_target_by_tag, NULL, NULL},
	{SPAN_INIT("SecSensorId"), NULL, "nothing reports it", NULL},
	{SPAN_INIT("SecServerSignature"), NULL, "the gateway has a setting for it", NULL},
	{SPAN_INIT("SecStatusEngine"), NULL, "nothing is reported to others", NULL},
	{SPAN_INIT("SecStreamInBodyInspection"), NULL, NULL, "use REQUEST_BODY"},
	{SPAN_INIT("SecStreamOutBodyInspection"), NULL, NULL, "use RESPONSE_BODY"},
	{SPAN_INIT("SecTmpDir"), NULL, no_files, NULL},
	{SPAN_INIT("SecTmpSaveUploadedFiles"), keep_files, NULL, NULL},
	{SPAN_INIT("SecUnicodeMapFile"), unicode_map_file, NULL, NULL},
	{SPAN_INIT("SecUploadDir"), NULL, no_files, NULL},
	{SPAN_INIT("SecUploadFileLimit"), upload_file_limit, NULL, NULL},
	{SPAN_INIT("SecUploadFileMode"), NULL, no_files, NULL},
	{SPAN_INIT("SecUploadKeepFiles"), keep_files, NULL, NULL},
	{SPAN_INIT("SecWebAppId"), web_app_id, NULL, NULL},
	{SPAN_INIT("SecXmlExternalEntity"), xml_external_entity, NULL, NULL},
};

static int note_ignored(struct call *c, const char *why)
{
	struct sec_ignored *note = arena_new(&c->document->arena, struct sec_ignored);

	if (!note)
		return no_memory(c);
	note->text =
		arena_printf(&c->document->arena, "%.*s:%u: %.*s: %s", SPAN_ARG(c->place.file),
			     c->place.line, SPAN_ARG(c->name), why);
	if (!note->text.ptr)
		return no_memory(c);
	*c->document->ignored_end = note;
	c->document->ignored_end = &note->next;
	return 0;
}

int sec_directive(struct sec_document *document, struct sec_place place, struct span name,
		  const struct span *arguments, size_t count, struct err *err)
{
	struct call call = {document, place, name, arguments, count, err};

	for (size_t i = 0; i < COUNT_OF(directives); i++) {
		if (!span_eq_nocase(directives[i].name, name))
			continue;
		if (document->open_chain && directives[i].handle != sec_rule &&
		    directives[i].handle != sec_action && directives[i].handle != sec_marker)
			return err_set(err, ERR_SYNTAX, "a chain is not finished");
		if (directives[i].handle)
			return directives[i].handle(&call);
		if (directives[i].refused)
			return err_set(err, ERR_INVALID, "%.*s is not supported: %s",
				       SPAN_ARG(name), directives[i].refused);
		return note_ignored(&call, directives[i].ignored);
	}
	return err_set(err, ERR_INVALID, "there is no directive %.*s", SPAN_ARG(name));
}

int sec_finish(struct sec_document *document, struct err *err)
{
	const struct sec_rule *open = document->open_chain;

	if (!open)
		return 0;
	return err_set(err, ERR_SYNTAX, "%.*s:%u: the chain is not finished",
		       SPAN_ARG(open->place.file), open->place.line);
}
