#include "waf/patch.h"

const struct waf_patch_template *waf_patch_template_find(struct span id)
{
	size_t count;
	const struct waf_patch_template *all = waf_patch_templates(&count);

	for (size_t i = 0; i < count; i++) {
		struct span ids = span_cstr(all[i].ids);

		if (span_eq_nocase(span_cstr(all[i].name), id))
			return &all[i];
		while (ids.ptr)
			if (span_eq_nocase(span_cut(&ids, ' '), id))
				return &all[i];
	}
	return NULL;
}

/* Inside of double quotes; SecLang knows no other escape than \" there. */
static void put_quoted(struct buf *to, const char *text)
{
	buf_append_byte(to, '"');
	for (; *text; text++) {
		if (*text == '"')
			buf_append_byte(to, '\\');
		buf_append_byte(to, *text);
	}
	buf_append_byte(to, '"');
}

static void put_condition(struct buf *to, const struct waf_patch_template *template,
			  const struct waf_patch_condition *conditions, unsigned at,
			  uint32_t id)
{
	const struct waf_patch_condition *c = &conditions[at];
	struct span ids = span_cstr(template->ids);

	buf_printf(to, "%sSecRule %s ", at ? "\t" : "", c->targets);
	put_quoted(to, c->op);
	buf_append_cstr(to, " \"");
	if (at == 0) {
		buf_printf(to, "id:%u,phase:2,deny,status:403,log,severity:2,msg:'%s'", id,
			   template->title);
		while (ids.ptr) {
			struct span one = span_cut(&ids, ' ');

			buf_printf(to, ",tag:'%.*s'", SPAN_ARG(one));
		}
		buf_append_byte(to, ',');
	}
	buf_append_cstr(to, "t:none");
	if (c->transforms)
		buf_printf(to, ",%s", c->transforms);
	buf_append_cstr(to, conditions[at + 1].targets ? ",chain\"\n" : "\"\n");
}

uint32_t waf_patch_template_write(const struct waf_patch_template *template, uint32_t first_id,
				  struct buf *to)
{
	uint32_t count = 0;

	for (; template->rules[count][0].targets; count++)
		for (unsigned at = 0; template->rules[count][at].targets; at++)
			put_condition(to, template, template->rules[count], at,
				      first_id + count);
	return count;
}
