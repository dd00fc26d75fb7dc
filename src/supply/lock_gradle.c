/* Gradle: *.lockfile and verification-metadata.xml. */
#include "supply/lock_parse.h"

/* "group:artifact:1" in Groovy and Kotlin, module = "group:artifact" in a catalogue of versions. */
static void mark_direct(const struct lock_input *in, uint32_t first)
{
	static const struct span manifests[] = {SPAN_INIT("build.gradle"),
						SPAN_INIT("build.gradle.kts"),
						SPAN_INIT("gradle/libs.versions.toml")};

	for (size_t i = 0; i < COUNT_OF(manifests); i++) {
		lock_mark_named(in, manifests[i], first, "\"", ":\"");
		lock_mark_named(in, manifests[i], first, "'", ":'");
	}
}

int lock_gradle(const struct lock_input *in, struct err *err)
{
	uint32_t first = in->inv->count;
	struct lock_lines lines;
	struct span line;

	if (lock_check_text(in, err) < 0)
		return -1;
	lock_lines_init(&lines, in->text);
	while (lock_lines_next(&lines, &line)) {
		struct span rest, group, artifact, version, name;
		struct component *c;
		size_t equals;

		line = span_trim(line);
		if (!line.len || line.ptr[0] == '#' || span_starts_with(line, SPAN("empty=")))
			continue;
		equals = span_find_byte(line, '=');
		rest = span_slice(line, 0, equals);
		group = span_cut(&rest, ':');
		artifact = rest.ptr ? span_cut(&rest, ':') : SPAN("");
		version = rest.ptr ? rest : SPAN("");
		if (!group.len || !artifact.len || !version.len) {
			inventory_problem(in->inv, in->file, lines.number,
					  "not group:artifact:version");
			continue;
		}
		name = span_slice(line, 0, group.len + 1 + artifact.len);
		c = lock_add(in, ECOSYSTEM_MAVEN, name, version, lines.number, NULL);
		/* Configurations: only tests' ones make it a thing of development. */
		rest = span_slice(line, equals + 1, line.len);
		if (c && rest.len)
			c->scope = SCOPE_DEV;
		while (c && rest.ptr && rest.len) {
			struct span configuration = span_cut(&rest, ',');

			if (!span_starts_with(configuration, SPAN("test")) &&
			    !span_starts_with(configuration, SPAN("androidTest")))
				c->scope = SCOPE_RUNTIME;
		}
	}
	mark_direct(in, first);
	return 0;
}

int lock_gradle_verification(const struct lock_input *in, struct err *err)
{
	const struct node *root = lock_parse_xml(in->scratch, in->text, err);

	if (!root)
		return -1;
	if (!span_eq(root->key, SPAN("verification-metadata")))
		return err_set(err, ERR_INVALID,
			       "line %u: the root element is no verification-metadata",
			       root->line);
	node_for_each(entry, node_get(root, SPAN("components")))
	{
		struct span group = node_text_at(entry, SPAN("@group"));
		struct span name = node_text_at(entry, SPAN("@name"));

		if (!span_eq(entry->key, SPAN("component")))
			continue;
		if (!group.len || !name.len) {
			inventory_problem(in->inv, in->file, entry->line,
					  "a component without group and name");
			continue;
		}
		(void)lock_add(in, ECOSYSTEM_MAVEN,
			       inventory_join(in->inv, group, SPAN(":"), name),
			       node_text_at(entry, SPAN("@version")), entry->line, NULL);
	}
	return 0;
}
