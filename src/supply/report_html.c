/*
 * One page that needs nothing from elsewhere: style and script are in it, and its own content
 * security policy allows no others. Without script all is there; with it, it can be filtered.
 */
#include <openssl/evp.h>

#include "base/clock.h"
#include "parse/base64.h"
#include "supply/report.h"

static const char style[] =
	":root{color-scheme:light "
	"dark;--line:#d5d9e0;--soft:#5b6472;--back:#fff;--text:#1b1f27;"
	"--head:#f4f6f9}\n"
	"@media(prefers-color-scheme:dark){:root{--line:#363c47;--soft:#9aa4b2;--back:#14171c;"
	"--text:#e6e9ef;--head:#1d222a}}\n"
	"body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;padding:1.5rem;max-width:75rem;"
	"background:var(--back);color:var(--text)}\n"
	"h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}\n"
	"p.of{color:var(--soft);margin:.2rem 0 1rem;overflow-wrap:anywhere}\n"
	"ul.sums{list-style:none;display:flex;flex-wrap:wrap;gap:.5rem;padding:0;margin:0 0 "
	"1rem}\n"
	"ul.sums li{border:1px solid var(--line);border-radius:.4rem;padding:.3rem .8rem}\n"
	"ul.sums b{font-size:1.2rem;margin-right:.3rem}\n"
	"form{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:end;position:sticky;top:0;"
	"background:var(--back);padding:.6rem 0;border-bottom:1px solid var(--line)}\n"
	"label{display:flex;flex-direction:column;font-size:.8rem;color:var(--soft)}\n"
	"input,select{font:inherit;color:inherit;background:var(--back);border:1px solid "
	"var(--line);border-radius:.3rem;padding:.3rem .5rem}input{min-width:18rem}\n"
	"output{margin-left:auto;color:var(--soft)}\n"
	"table{border-collapse:collapse;width:100%}th{text-align:left;background:var(--head);"
	"font-weight:600}\n"
	"th,td{padding:.45rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}\n"
	"td{overflow-wrap:anywhere}td.s{white-space:nowrap;overflow-wrap:normal}small{color:"
	"var(--soft);display:block}\n"
	".b{border-radius:.25rem;color:#fff;font-size:.75rem;font-weight:600;padding:.1rem "
	".4rem}\n"
	".critical{background:#8c1224}.high{background:#b8321c}.medium{background:#8a5a00}"
	".low{background:#2b6289}.info{background:#5b6472}\n"
	".mark{border:1px solid #b8321c;color:#b8321c;border-radius:.25rem;font-size:.75rem;"
	"padding:0 .3rem;margin-left:.3rem}\n"
	"@media(prefers-color-scheme:dark){.mark{border-color:#ff8f7a;color:#ff8f7a}}\n"
	"tr[hidden]{display:none}a{color:inherit}\n"
	"@media(max-width:45rem){input{min-width:0;width:100%}label:first-child{width:100%}"
	"th:nth-child(3),td:nth-child(3){display:none}}\n"
	"@media print{form{display:none}}\n";

static const char script[] =
	"var f=document.forms[0],rows=[].slice.call(document.querySelectorAll('tbody tr'));"
	"f.hidden=false;"
	"function show(){var q=f.q.value.toLowerCase().split(/\\s+/),n=0;"
	"rows.forEach(function(r){var d=r.dataset,t=r.textContent.toLowerCase(),"
	"on=(!f.s.value||+d.s>=+f.s.value)&&(!f.k.value||d.k===f.k.value)&&"
	"(!f.v.value||d.v===f.v.value)&&q.every(function(w){return t.indexOf(w)>=0});"
	"r.hidden=!on;n+=on});f.n.value=n+' of '+rows.length}"
	"f.addEventListener('input',show);"
	"f.addEventListener('submit',function(e){e.preventDefault()});show();";

static void put_hash(struct buf *to)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char encoded[EVP_MAX_MD_SIZE * 2];
	unsigned len = 0;

	if (EVP_Digest(script, sizeof(script) - 1, digest, &len, EVP_sha256(), NULL) != 1)
		len = 0; /* then the script does not run, and the page shows all */
	buf_append_bytes(to, encoded, base64_encode(encoded, span_of(digest, len)));
}

static void put_head(const struct report *r, struct buf *to)
{
	buf_append_cstr(to, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
			    "<meta name=\"viewport\" "
			    "content=\"width=device-width,initial-scale=1\">\n"
			    "<meta name=\"referrer\" content=\"no-referrer\">\n"
			    "<meta http-equiv=\"Content-Security-Policy\" content=\""
			    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
			    "form-action 'none'; script-src 'sha256-");
	put_hash(to);
	buf_append_cstr(to, "'\">\n<title>Sallyport: ");
	buf_append_html(to, r->target);
	buf_append_cstr(to, "</title>\n<style>\n");
	buf_append_cstr(to, style);
	buf_append_cstr(to, "</style>\n<h1>What the scan has found</h1>\n<p class=\"of\">");
	buf_append_html(to, r->target);
	if (r->inventory->distro_name.len) {
		buf_append_cstr(to, " &middot; ");
		buf_append_html(to, r->inventory->distro_name);
	}
	buf_printf(to, " &middot; %u components", r->inventory->count);
	if (r->db) {
		char time[CLOCK_RFC3339_SIZE];

		clock_rfc3339(time, advisory_db_header(r->db)->built_s * 1000);
		buf_printf(to, " &middot; advisories of %.10s", time);
	}
	buf_append_cstr(to, " &middot; Sallyport ");
	buf_append_html(to, r->version);
	buf_append_cstr(to, "</p>\n");
}

static void put_sum(struct buf *to, size_t count, const char *what)
{
	buf_printf(to, "<li><b>%zu</b>%s</li>\n", count, what);
}

static void put_sums(const struct report *r, struct buf *to)
{
	static const char *const words[RESULT_SILENCES] = {
		[RESULT_WAIVED] = "waived",
		[RESULT_EXCEPTED] = "excepted",
		[RESULT_NOT_AFFECTED] = "not affected",
		[RESULT_KNOWN] = "known before, not listed",
		[RESULT_UNFIXED] = "without a fix, not listed",
	};
	struct report_counts c = report_count(r);

	buf_append_cstr(to, "<ul class=\"sums\">\n");
	put_sum(to, c.fails, "fail");
	put_sum(to, c.warns, "warn");
	for (int i = FINDING_SEVERITIES - 1; i >= 0; i--)
		if (c.by_severity[i])
			put_sum(to, c.by_severity[i],
				finding_severity_name((enum finding_severity)i));
	for (int i = RESULT_COUNTS + 1; i < RESULT_SILENCES; i++)
		if (c.by_silence[i])
			put_sum(to, c.by_silence[i], words[i]);
	buf_append_cstr(to, "</ul>\n");
}

static void put_form(struct buf *to)
{
	buf_append_cstr(to, "<form hidden><label>Search<input name=\"q\" type=\"search\" "
			    "autocomplete=\"off\"></label>\n<label>At least<select name=\"s\">"
			    "<option value=\"\">any severity");
	for (int i = FINDING_LOW; i < FINDING_SEVERITIES; i++)
		buf_printf(to, "<option value=\"%d\">%s", i,
			   finding_severity_name((enum finding_severity)i));
	buf_append_cstr(to, "</select></label>\n<label>Kind<select name=\"k\">"
			    "<option value=\"\">all");
	for (int i = 0; i < RESULT_KINDS; i++)
		buf_printf(to, "<option>%s", result_kind_name((enum result_kind)i));
	buf_append_cstr(to, "</select></label>\n<label>Verdict<select name=\"v\">"
			    "<option value=\"\">all<option>fails<option>warns<option>open"
			    "<option>waived<option>excepted<option>not_affected"
			    "</select></label>\n<output name=\"n\"></output></form>\n");
}

static const char *verdict_of(const struct result *r)
{
	if (!result_counts(r))
		return result_silence_name(r->silence);
	return r->fails ? "fails" : "warns";
}

static void put_link(struct buf *to, struct span link, struct span text)
{
	bool safe = span_starts_with(link, SPAN("https://"));

	if (safe) {
		buf_append_cstr(to, "<a href=\"");
		buf_append_html(to, link);
		buf_append_cstr(to, "\" rel=\"noopener noreferrer\">");
	}
	buf_append_html(to, text);
	if (safe)
		buf_append_cstr(to, "</a>");
}

static void put_note(struct buf *to, const char *before, struct span text)
{
	if (text.len == 0)
		return;
	buf_append_cstr(to, "<small>");
	buf_append_cstr(to, before);
	buf_append_html(to, text);
	buf_append_cstr(to, "</small>");
}

static void put_what(const struct report *r, const struct result *result, struct buf *to)
{
	const struct vulnerability *v = result->vulnerability;
	struct span cve = v ? report_cve(v) : SPAN_NONE;

	put_link(to, result->finding.link, result->finding.rule);
	if (cve.len && !span_eq(cve, v->id)) {
		buf_append_byte(to, ' ');
		buf_append_html(to, cve);
	}
	if (v && v->kev)
		buf_append_cstr(to, "<span class=\"mark\">exploited</span>");
	if (v && v->exposure >= EXPOSURE_AUTHENTICATED)
		buf_append_cstr(to, v->exposure == EXPOSURE_PUBLIC
					    ? "<span class=\"mark\">exposed to "
					      "everybody</span>"
					    : "<span class=\"mark\">exposed</span>");
	buf_append_cstr(to, "<br>");
	if (v) {
		const struct component *c = &r->inventory->at[v->component];

		buf_append_html(to, c->name);
		buf_append_byte(to, ' ');
		buf_append_html(to, c->version);
		put_note(to, "", v->summary);
	} else {
		buf_append_html(to, result->finding.message);
	}
	put_note(to, "", result->finding.advice);
	put_note(to, "", result->finding.standards);
	put_note(to, "", result->why);
}

static void put_row(const struct report *r, const struct result *result, struct buf *to)
{
	const struct vulnerability *v = result->vulnerability;
	const struct finding_place *place = &result->finding.place;
	enum finding_severity severity = result->finding.severity;

	buf_printf(to,
		   "<tr data-s=\"%d\" data-k=\"%s\" data-v=\"%s\"><td class=\"s\"><span "
		   "class=\"b %s\">%s</span>",
		   severity, result_kind_name(result->kind), verdict_of(result),
		   finding_severity_name(severity), report_severity_word(result));
	buf_printf(to, "<small>%s</small></td><td>", verdict_of(result));
	put_what(r, result, to);
	buf_append_cstr(to, "</td><td>");
	buf_append_html(to, place->file);
	if (place->line)
		buf_printf(to, ":%u", place->line);
	put_note(to, "service ", result->service);
	put_note(to, "", result->tool);
	buf_append_cstr(to, "</td><td class=\"s\">");
	if (v && v->score_tenths)
		buf_printf(to, "CVSS %u.%u", v->score_tenths / 10, v->score_tenths % 10);
	if (v && v->epss_ppm)
		buf_printf(to, "<small>EPSS %u.%u%%</small>", v->epss_ppm / 10000,
			   v->epss_ppm / 1000 % 10);
	buf_append_cstr(to, "</td></tr>\n");
}

static void put_problems(const struct report *r, struct buf *to)
{
	if (r->inventory->problem_count == 0)
		return;
	buf_append_cstr(to, "<h2>Not read</h2>\n<ul>\n");
	for (size_t i = 0; i < r->inventory->problem_count; i++) {
		const struct inventory_problem *p = &r->inventory->problems[i];

		buf_append_cstr(to, "<li>");
		buf_append_html(to, p->file);
		if (p->line)
			buf_printf(to, ":%u", p->line);
		buf_append_cstr(to, ": ");
		buf_append_html(to, p->message);
		buf_append_cstr(to, "</li>\n");
	}
	buf_append_cstr(to, "</ul>\n");
}

void report_html(const struct report *r, struct buf *to)
{
	put_head(r, to);
	put_sums(r, to);
	put_form(to);
	buf_append_cstr(to, "<table>\n<thead><tr><th>Severity<th>What<th>Where<th>Score</tr>"
			    "</thead>\n<tbody>\n");
	for (size_t i = 0; i < r->results->count; i++)
		if (r->results->at[i].silence != RESULT_KNOWN &&
		    r->results->at[i].silence != RESULT_UNFIXED)
			put_row(r, &r->results->at[i], to);
	buf_append_cstr(to, "</tbody>\n</table>\n");
	put_problems(r, to);
	buf_append_cstr(to, "<script>");
	buf_append_cstr(to, script);
	buf_append_cstr(to, "</script>\n</html>\n");
}
