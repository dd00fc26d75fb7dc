/* plan_waf.c - the firewall, virtual patches, and bans. */
#include "config/config.h"

#include "config/plan_parts.h"
#include "parse/units.h"

static void text_patch(const struct config_patch *patch, struct buf *out)
{
	buf_printf(out, "  patch %.*s: ", SPAN_ARG(patch->name));
	plan_join(out, &patch->vulnerabilities, ", ");
	if (patch->services.count)
		buf_append_cstr(out, "; before ");
	plan_join(out, &patch->services, ", ");
	if (patch->operations.count)
		buf_append_cstr(out, "; for ");
	plan_join(out, &patch->operations, ", ");
	buf_printf(out, "; %s", plan_waf_mode(patch->mode));
	if (patch->expires.len)
		buf_printf(out, "; until %.*s", SPAN_ARG(patch->expires));
	buf_append_byte(out, '\n');
}

void plan_waf(const struct config *cfg, struct buf *out)
{
	const struct config_waf *waf = cfg->waf;

	if (!waf)
		return;
	buf_printf(out, "firewall\n  %s; rules ", plan_waf_mode(waf->mode));
	plan_join(out, &waf->rules, ", ");
	buf_printf(out, " at paranoia %u; %u%% of the requests%s", waf->paranoia,
		   waf->sample_percent, waf->response.inspect ? ", and responses" : "");
	if (waf->large == CONFIG_LARGE_STREAM)
		buf_append_cstr(out, "; only the beginning of large bodies");
	if (waf->exclusions.count)
		buf_printf(out, "; %zu exclusions", waf->exclusions.count);
	buf_append_byte(out, '\n');
	for (size_t i = 0; i < cfg->patches.count; i++)
		text_patch(&cfg->patches.at[i], out);
}

static void text_networks(const char *verb, const struct cidr *networks, size_t count,
			  struct buf *out)
{
	char text[ADDRESS_TEXT_SIZE];

	for (size_t i = 0; i < count; i++) {
		buf_printf(out, i == 0 ? "  %s: " : ", ", verb);
		buf_append_bytes(out, text, cidr_format(&networks[i], text));
	}
	if (count > 0)
		buf_append_byte(out, '\n');
}

void plan_ips(const struct config *cfg, struct buf *out)
{
	const struct config_ips *ips = cfg->ips;

	if (!ips || ips->mode == CONFIG_IPS_OFF)
		return;
	buf_append_cstr(out, ips->mode == CONFIG_IPS_BLOCK
				     ? "bans\n"
				     : "bans (observed only: nobody is refused)\n");
	for (unsigned i = 0; i < CONFIG_IPS_KINDS; i++) {
		const struct config_ips_rule *rule = &ips->rules[i];

		if (rule->threshold == 0)
			continue;
		buf_printf(out, "  %s: %u within ",
			   config_ips_kind_name((enum config_ips_kind)i), rule->threshold);
		units_append_duration(out, rule->window_ms);
		buf_append_cstr(out, " ban for ");
		units_append_duration(out, rule->ban_ms);
		buf_append_cstr(out, ", at most ");
		units_append_duration(out, rule->ban_max_ms);
		if (i == CONFIG_IPS_NETWORK)
			buf_printf(out, " (bans in one /%u of IPv4, /%u of IPv6)",
				   ips->ipv4_prefix, ips->ipv6_prefix);
		else if (i == CONFIG_IPS_FINGERPRINT)
			buf_append_cstr(out, " (bans of one fingerprint)");
		buf_append_byte(out, '\n');
	}
	text_networks("never", ips->allow.at, ips->allow.count, out);
	text_networks("always", ips->deny.at, ips->deny.count, out);
}
