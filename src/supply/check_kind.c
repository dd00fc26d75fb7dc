/* What a file is, told by its name and the beginning of its text. */
#include "base/compiler.h"
#include "supply/check.h"
#include "supply/detect.h"

static struct span base_name(struct span path)
{
	for (size_t i = path.len; i > 0; i--)
		if (path.ptr[i - 1] == '/')
			return span_slice(path, i, path.len);
	return path;
}

static bool is_yaml(struct span name)
{
	return span_ends_with(name, SPAN(".yaml")) || span_ends_with(name, SPAN(".yml"));
}

static bool is_compose(struct span name)
{
	return is_yaml(name) && (span_starts_with(name, SPAN("docker-compose")) ||
				 span_starts_with(name, SPAN("compose.")) ||
				 span_starts_with(name, SPAN("compose-")));
}

static bool has_part(struct span path, struct span part)
{
	return span_find(path, part) < path.len;
}

/* nginx.conf, and .conf in folders that are called as nginx's are. */
static bool is_nginx(struct span path, struct span name)
{
	if (span_eq(name, SPAN("nginx.conf")) || span_ends_with(name, SPAN(".nginx")) ||
	    span_ends_with(name, SPAN(".nginx.conf")) ||
	    span_eq(name, SPAN("nginx.conf.template")))
		return true;
	if (has_part(path, SPAN("sites-enabled/")) || has_part(path, SPAN("sites-available/")))
		return !has_part(path, SPAN("apache"));
	return has_part(path, SPAN("nginx/")) && span_ends_with(name, SPAN(".conf"));
}

static bool is_sshd(struct span path, struct span name)
{
	return span_eq(name, SPAN("sshd_config")) ||
	       (has_part(path, SPAN("sshd_config.d/")) && span_ends_with(name, SPAN(".conf")));
}

static bool is_shell_name(struct span name)
{
	static const struct span endings[] = {SPAN_INIT(".sh"), SPAN_INIT(".bash"),
					      SPAN_INIT(".ksh"), SPAN_INIT(".dash")};

	for (size_t i = 0; i < COUNT_OF(endings); i++)
		if (span_ends_with(name, endings[i]))
			return true;
	return false;
}

/* "#!/bin/sh", "#!/usr/bin/env bash" */
static bool is_shell_text(struct span text)
{
	static const struct span shells[] = {SPAN_INIT("sh"), SPAN_INIT("bash"),
					     SPAN_INIT("dash"), SPAN_INIT("ksh"),
					     SPAN_INIT("ash")};
	struct span line = span_slice(text, 0, span_find_byte(text, '\n')), word;

	if (!span_starts_with(text, SPAN("#!")))
		return false;
	line = span_trim(span_slice(line, 2, line.len));
	word = base_name(span_cut(&line, ' '));
	if (span_eq(word, SPAN("env")))
		word = line.ptr ? span_cut(&line, ' ') : SPAN("");
	for (size_t i = 0; i < COUNT_OF(shells); i++)
		if (span_eq(span_trim(word), shells[i]))
			return true;
	return false;
}

bool check_wants(struct span path)
{
	struct span name = base_name(path);

	return detect_is_dockerfile(name) || is_yaml(name) || is_nginx(path, name) ||
	       is_sshd(path, name) || is_shell_name(name) ||
	       /* perhaps a script */
	       (span_find_byte(name, '.') == name.len && !has_part(path, SPAN(".git/"))) ||
	       (span_ends_with(name, SPAN(".json")) &&
		!span_eq(name, SPAN("package-lock.json")) &&
		!span_eq(name, SPAN("package.json")));
}

/* A line "openapi: 3" or "swagger: 2" that is not indented, or JSON's first keys. */
static bool is_openapi(struct span text)
{
	static const struct span keys[] = {SPAN_INIT("openapi"), SPAN_INIT("swagger")};
	struct span rest = span_slice(text, 0, 16384);

	while (rest.ptr) {
		struct span line = span_cut(&rest, '\n');

		for (size_t i = 0; i < COUNT_OF(keys); i++) {
			size_t at = span_find(line, keys[i]);
			struct span before = span_slice(line, 0, at);
			struct span after = span_slice(line, at + keys[i].len, line.len);

			while (after.len && strchr("\"' \t", after.ptr[0]))
				after = span_slice(after, 1, after.len);
			if (at < line.len && after.len && after.ptr[0] == ':' &&
			    (before.len == 0 || (before.ptr[before.len - 1] == '"' &&
						 span_find_byte(before, ':') == before.len)))
				return true;
		}
	}
	return false;
}

enum check_kind check_kind_of(struct span path, struct span text)
{
	struct span name = base_name(path);

	if (detect_is_dockerfile(name))
		return CHECK_DOCKERFILE;
	if (is_compose(name))
		return CHECK_COMPOSE;
	if (is_yaml(name) && span_find(path, SPAN(".github/workflows/")) < path.len)
		return CHECK_GITHUB;
	if (is_yaml(name) && span_ends_with(name, SPAN(".gitlab-ci.yml")))
		return CHECK_GITLAB;
	if (is_sshd(path, name))
		return CHECK_SSHD;
	if (is_nginx(path, name))
		return CHECK_NGINX;
	if (is_shell_name(name) || is_shell_text(text))
		return CHECK_SHELL;
	if (!is_yaml(name) && !span_ends_with(name, SPAN(".json")))
		return CHECK_NONE;
	/* A chart's template is no YAML; what Helm makes of it is. */
	if (has_part(path, SPAN("templates/")) && has_part(text, SPAN("{{")))
		return CHECK_NONE;
	if (check_wants(path) && is_openapi(text))
		return CHECK_OPENAPI;
	if (check_wants(path) && span_find(text, SPAN("apiVersion")) < text.len &&
	    span_find(text, SPAN("kind")) < text.len)
		return CHECK_KUBERNETES;
	return CHECK_NONE;
}
